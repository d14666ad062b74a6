package kubernetes_test

import (
	"encoding/json"
	"testing"

	mutation "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/header_mutation/v3"
	manager "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// TestEnvoyFilters: Istio's schema takes anything as a patch. What it patches in are Envoy's own messages, which
// know their members.
func TestEnvoyFilters(t *testing.T) {
	messages := map[string]proto.Message{
		"type.googleapis.com/" + string((&mutation.HeaderMutation{}).ProtoReflect().Descriptor().FullName()):       &mutation.HeaderMutation{},
		"type.googleapis.com/" + string((&manager.HttpConnectionManager{}).ProtoReflect().Descriptor().FullName()): &manager.HttpConnectionManager{},
	}
	filter := find(t, "istio.yaml", "EnvoyFilter", "devicegate")
	for _, p := range filter.at("spec", "configPatches").([]any) {
		config := object(p.(map[string]any)).at("patch", "value", "typed_config").(map[string]any)
		name, _ := config["@type"].(string)
		message, ok := messages[name]
		if !ok {
			t.Errorf("%q is none of the messages that are tried here", name)
			continue
		}
		delete(config, "@type")
		text, err := json.Marshal(config)
		if err != nil {
			t.Fatal(err)
		}
		if err := protojson.Unmarshal(text, message); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
