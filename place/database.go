package place

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/oschwald/maxminddb-golang/v2"
)

// database is a MaxMind DB file in memory.
type database struct {
	reader *maxminddb.Reader
}

// record is what is read of a record. City and country databases have the same form, the latter with less.
type record struct {
	Country struct {
		ISOCode string `maxminddb:"iso_code"`
	} `maxminddb:"country"`
	Subdivisions []struct {
		Names english `maxminddb:"names"`
	} `maxminddb:"subdivisions"`
	City struct {
		Names english `maxminddb:"names"`
	} `maxminddb:"city"`
}

type english struct {
	En string `maxminddb:"en"`
}

func (r *record) place() Place {
	var region string
	if len(r.Subdivisions) > 0 {
		region = r.Subdivisions[0].Names.En // the widest one comes first
	}
	return clean(r.Country.ISOCode, region, r.City.Names.En)
}

// parse makes a database of the bytes of a file, which it keeps. It reads every record once, as lookup would:
// the format has no checksum, and this is what tells a whole file from a damaged one. A file of other facts (networks'
// names, kinds of connection) is an error too, because with it nobody would ever be anywhere.
func parse(data []byte) (db *database, err error) {
	defer recovered(&err)
	reader, err := maxminddb.OpenBytes(data)
	if err != nil {
		return nil, err
	}
	countries, err := countCountries(reader)
	if err != nil {
		return nil, err
	}
	if countries == 0 {
		return nil, errors.New("no record of it has a country (country.iso_code)")
	}
	return &database{reader: reader}, nil
}

// countCountries reads every record and returns how many of them have a country.
func countCountries(reader *maxminddb.Reader) (int, error) {
	// A binary tree has one leaf more than nodes, and writers hang the part of IPv4 into it at some more places. In
	// a damaged one nodes can be reached on so many ways that the walk would never end. It counts on aliases being
	// walked too: what is skipped is not counted.
	leaves := 16 * (uint64(reader.Metadata.NodeCount) + 1)
	seen := map[uintptr]bool{}
	countries := 0
	for result := range reader.Networks(maxminddb.IncludeNetworksWithoutData(), maxminddb.IncludeAliasedNetworks()) {
		if leaves--; leaves == 0 {
			return 0, errors.New("its search tree is damaged")
		}
		if err := result.Err(); err != nil {
			return 0, err
		}
		if !result.Found() || seen[result.Offset()] {
			continue
		}
		seen[result.Offset()] = true
		var r record
		if err := result.Decode(&r); err != nil {
			return 0, err
		}
		if alpha2(r.Country.ISOCode) != "" {
			countries++
		}
	}
	return countries, nil
}

// lookup returns the place of a public address. A database without IPv6 knows no IPv6 address.
func (db *database) lookup(ip netip.Addr) (p Place, err error) {
	defer recovered(&err)
	if ip.Is6() && db.reader.Metadata.IPVersion == 4 {
		return Place{}, nil
	}
	var r record
	if err := db.reader.Lookup(ip).Decode(&r); err != nil {
		return Place{}, err
	}
	return r.place(), nil
}

// recovered makes an error of a panic: a file that the decoder trips over must not end the process.
func recovered(err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("the decoder gave up: %v", r)
	}
}
