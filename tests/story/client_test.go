// SPDX-License-Identifier: Apache-2.0

package story

import "testing"

func TestParseReplies(t *testing.T) {
	echo := `{"pod":"payment-1","cluster":"cluster-2","headers":{"X-Mcw-Wan-Port":["31111"]}}`
	got := parseReplies(echo + "\n\n200\n" + "RBAC: access denied\n403\n" + "curl: (52) Empty reply from server\n\n000\n")
	if len(got) != 3 {
		t.Fatalf("got %+v", got)
	}
	if err := got[0].cameBy(wayHigh()); err != nil {
		t.Errorf("an answer over port 31111: %v", err)
	}
	if err := got[0].cameBy(wayLow()); err == nil {
		t.Error("an answer over port 31111 passes for one over 31112")
	}
	if got[1].Code != 403 || got[1].Body != rbacDenied || got[1].Answer != nil {
		t.Errorf("a denied request: %+v", got[1])
	}
	if err := got[1].cameBy(wayHigh()); err == nil {
		t.Error("a denied request passes for an answer")
	}
	if got[2].Code != 0 || !closedByPeer.MatchString(got[2].Body) {
		t.Errorf("a closed connection: %+v", got[2])
	}
	if closedByPeer.MatchString("curl: (28) Connection timed out") || closedByPeer.MatchString("curl: (7) Failed to connect") {
		t.Error("a port that nobody listens on passes for one that turns away")
	}
}

func TestParseFailures(t *testing.T) {
	const out = `{"attack":"","seq":7,"code":503,"timestamp":"2026-01-02T03:04:05.678Z","latency":250000000,"bytes_out":0,"bytes_in":4,"error":"503 Service Unavailable","body":"bm9uZQ==","method":"POST","url":"http://x/","headers":{"Server":["istio-envoy"]}}
{"attack":"","seq":8,"code":0,"timestamp":"2026-01-02T03:04:06Z","latency":1,"bytes_out":0,"bytes_in":0,"error":"EOF","body":null,"method":"GET","url":"http://x/","headers":null}
`
	got, err := parseFailures(out)
	if err != nil || len(got) != 2 {
		t.Fatalf("%v, %v", got, err)
	}
	if want := `03:04:05.678 POST after 250ms: 503 503 Service Unavailable "none" map[Server:[istio-envoy]]`; got[0].String() != want {
		t.Errorf("got  %s\nwant %s", got[0], want)
	}
	if got[1].Code != 0 || got[1].Error != "EOF" {
		t.Errorf("no answer: %+v", got[1])
	}
}
