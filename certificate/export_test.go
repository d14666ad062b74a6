package certificate

import "crypto/tls"

// Load takes the contents of a certificate, its key and the authorities of clients.
func Load(cert, key, authorities []byte) (*tls.Config, error) {
	s := &Source{files: Files{Cert: "cert", Key: "key", ClientCA: "authorities"}}
	l, err := s.load([3][]byte{cert, key, authorities})
	if err != nil {
		return nil, err
	}
	return l.config, nil
}
