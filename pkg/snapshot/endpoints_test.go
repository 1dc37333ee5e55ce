// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"testing"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/mcs"
	"github.com/l7mp/mc-wan/pkg/ports"
)

// headless is a service with the TCP ports 8080 and 9090 and a UDP port, exported by c2, whose endpoints these are.
func headless(hostnames ...string) (mcs.Merged, []v1alpha1.ServiceAdvertisementSpec) {
	service := merged(8080, 9090, -53)
	service.Type, service.Clusters = "Headless", []string{"c2"}
	for i := range service.Ports {
		service.Ports[i].Clusters = service.Clusters
	}
	export := v1alpha1.ServiceAdvertisementSpec{ClusterID: "c2", Namespace: "secure", Name: "db", Type: "Headless"}
	for _, h := range hostnames {
		export.Endpoints = append(export.Endpoints, v1alpha1.AdvertisedEndpoint{Hostname: h})
	}
	return service, []v1alpha1.ServiceAdvertisementSpec{export}
}

func TestEndpointPorts(t *testing.T) {
	service, exports := headless("db-0", "db-1")
	table := EndpointPorts(ports.New(), service, exports, secure("db"))
	if got := len(table.Keys()); got != 4 {
		t.Fatalf("one key per endpoint and TCP port, got %v", table.Keys())
	}
	key := ports.Key{Namespace: "secure", Name: "db", Port: 8080, Endpoint: "db-1.c2"}
	had := table.Get(key)
	if len(had) != ports.PerLeg {
		t.Errorf("%v has %v", key, had)
	}
	if again, _ := LegPorts(table, service, secure("db")); !again.Equal(table) {
		t.Error("the service's own legs are not theirs")
	}
	if again := DummyPorts(table, service, secure("db"), nil); !again.Equal(table) {
		t.Error("the dummy Services' legs are not theirs")
	}
	service, exports = headless("db-1", "db-2")
	table = EndpointPorts(table, service, exports, secure("db"))
	if now := table.Get(key); len(now) != 2 || now[0] != had[0] || now[1] != had[1] {
		t.Errorf("an endpoint that stays keeps its ports %v, has %v", had, now)
	}
	if got := len(table.Keys()); got != 4 {
		t.Errorf("what is gone is released: %v", table.Keys())
	}
	service.Type = "ClusterSetIP"
	if table = EndpointPorts(table, service, exports, secure("db")); len(table.Keys()) != 0 {
		t.Errorf("a service with an address has no endpoints: %v", table.Keys())
	}
}

// The last ports are for imports that have an address.
func TestEndpointsLeavePortsToImports(t *testing.T) {
	service, exports := headless("db-0")
	early := EndpointPorts(ports.New(), service, exports, secure("db"))
	full, _, err := early.Allocate(ports.Key{Namespace: "other", Name: "large", Port: 1}, early.Free()-portsForImports, nil)
	if err != nil {
		t.Fatal(err)
	}
	service, exports = headless("db-0", "db-1")
	if got := EndpointPorts(full, service, exports, secure("db")); !got.Equal(full) {
		t.Error("nothing is left for another endpoint")
	}
}
