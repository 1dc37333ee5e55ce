// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestEchoShowsWhatArrived(t *testing.T) {
	srv := httptest.NewServer(newHTTP(identity{Pod: "p-1", Cluster: "cluster-2", Namespace: "secure"}).server.Handler)
	defer srv.Close()
	req, err := http.NewRequest(http.MethodPut, srv.URL+"/orders?id=7", strings.NewReader("x"))
	if err != nil {
		t.Fatal(err)
	}
	req.Host = "payment.secure.svc.cluster.local:8080"
	req.Header.Add("X-Two", "a")
	req.Header.Add("X-Two", "b")

	got, code := send(t, http.DefaultClient, req)

	if code != http.StatusOK {
		t.Errorf("status %d, want 200", code)
	}
	if got.Pod != "p-1" || got.Cluster != "cluster-2" || got.Namespace != "secure" {
		t.Errorf("answered by %q %q %q", got.Pod, got.Cluster, got.Namespace)
	}
	if got.Host != req.Host || got.Method != http.MethodPut || got.Path != "/orders?id=7" || got.Proto != "HTTP/1.1" {
		t.Errorf("saw %q %q %q %q", got.Host, got.Method, got.Path, got.Proto)
	}
	if two := got.Headers["X-Two"]; len(two) != 2 || two[0] != "a" || two[1] != "b" {
		t.Errorf("X-Two: %q, want both values", two)
	}
}

func TestEchoSpeaksH2C(t *testing.T) {
	l := listen(t)
	web := newHTTP(identity{})
	go web.server.Serve(l)
	defer web.server.Close()
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	client := &http.Client{Transport: &http.Transport{Protocols: protocols}}
	req, err := http.NewRequest(http.MethodGet, "http://"+l.Addr().String()+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := send(t, client, req); got.Proto != "HTTP/2.0" {
		t.Errorf("proto %q, want HTTP/2.0", got.Proto)
	}
}

func TestStatus(t *testing.T) {
	handler := newHTTP(identity{}).server.Handler
	for path, want := range map[string]int{
		"/status/201": 201, "/status/204": 204, "/status/503": 503, "/status/599": 599,
		"/status/99": 400, "/status/600": 400, "/status/x": 400,
		"/delay/x": 400, "/delay/-1s": 400, "/delay/1h": 400,
		"/download/0": 200, "/download/x": 400, "/download/-1": 400, "/download/1073741825": 400,
	} {
		rec := httptest.NewRecorder()
		handler.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, path, nil))
		if rec.Code != want {
			t.Errorf("%s: status %d, want %d", path, rec.Code, want)
		}
	}
}

func TestUploadReadsTheWholeBody(t *testing.T) {
	rec := httptest.NewRecorder()
	body := strings.NewReader(strings.Repeat("x", 1<<20))
	newHTTP(identity{}).server.Handler.ServeHTTP(rec, httptest.NewRequest(http.MethodPut, "/upload", body))
	var got answer
	if err := json.Unmarshal(rec.Body.Bytes(), &got); err != nil || rec.Code != http.StatusOK {
		t.Fatalf("status %d, %q: %v", rec.Code, rec.Body, err)
	}
	if got.Read != 1<<20 || body.Len() != 0 {
		t.Errorf("%d bytes read, %d left", got.Read, body.Len())
	}
}

func TestDownloadIsAsLongAsAsked(t *testing.T) {
	rec := httptest.NewRecorder()
	newHTTP(identity{}).server.Handler.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/download/1000001", nil))
	if rec.Code != http.StatusOK || rec.Body.Len() != 1000001 || rec.Header().Get("Content-Length") != "1000001" {
		t.Errorf("status %d, %d bytes of %s", rec.Code, rec.Body.Len(), rec.Header().Get("Content-Length"))
	}
}

func TestDelayWaitsAndEndsWithTheClient(t *testing.T) {
	handler := newHTTP(identity{}).server.Handler
	begin := time.Now()
	rec := httptest.NewRecorder()
	handler.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/delay/30ms", nil))
	if rec.Code != http.StatusOK || time.Since(begin) < 30*time.Millisecond {
		t.Errorf("status %d after %s, want 200 after at least 30ms", rec.Code, time.Since(begin))
	}

	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	rec = httptest.NewRecorder()
	handler.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/delay/10m", nil).WithContext(ctx))
	if rec.Body.Len() != 0 {
		t.Errorf("answered a client that went away: %q", rec.Body)
	}
}

func TestTCPGreetsFirstThenEchoesLines(t *testing.T) {
	l := listen(t)
	lines := newTCP(identity{Pod: "p-1", Cluster: "cluster-2"})
	go lines.serve(l)
	conn, in := dial(t, l)
	if got := readLine(t, in); got != "mcwan-echo p-1 cluster-2\n" {
		t.Errorf("banner %q", got)
	}
	for _, line := range []string{"one\n", "two\n"} {
		if _, err := io.WriteString(conn, line); err != nil {
			t.Fatal(err)
		}
		if got := readLine(t, in); got != line {
			t.Errorf("echoed %q, want %q", got, line)
		}
	}
}

func TestTCPShutdownWaitsForTheOpenAndRefusesTheNew(t *testing.T) {
	l := listen(t)
	lines := newTCP(identity{})
	go lines.serve(l)
	conn, in := dial(t, l)
	readLine(t, in)

	ended := make(chan error, 1)
	go func() { ended <- lines.shutdown(context.Background()) }()
	deadline := time.Now().Add(5 * time.Second)
	for {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			break
		}
		c.Close()
		if time.Now().After(deadline) {
			t.Fatal("still accepts connections 5s after shutdown began")
		}
	}
	if _, err := io.WriteString(conn, "still here\n"); err != nil {
		t.Fatal(err)
	}
	if got := readLine(t, in); got != "still here\n" {
		t.Errorf("open connection echoed %q", got)
	}
	select {
	case err := <-ended:
		t.Fatalf("shutdown returned (%v) with a connection open", err)
	default:
	}
	conn.Close()
	if err := <-ended; err != nil {
		t.Errorf("shutdown: %v", err)
	}
}

func TestTCPShutdownCutsWhatOutlivesIt(t *testing.T) {
	l := listen(t)
	lines := newTCP(identity{})
	go lines.serve(l)
	_, in := dial(t, l)
	readLine(t, in)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := lines.shutdown(ctx); err != nil {
		t.Errorf("shutdown: %v", err)
	}
	if _, err := in.ReadString('\n'); err == nil {
		t.Error("connection outlived the shutdown")
	}
}

// TestRunFailsReadinessBeforeItRefuses follows the whole program through a SIGTERM.
func TestRunFailsReadinessBeforeItRefuses(t *testing.T) {
	http1, tcp1 := freeAddr(t), freeAddr(t)
	env := map[string]string{"HTTP_ADDR": http1, "TCP_ADDR": tcp1, "DRAIN": "2s"}
	ctx, term := context.WithCancel(context.Background())
	defer term()
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, func(k string) string { return env[k] }) }()

	awaitHealth(t, http1, http.StatusOK)
	term()
	awaitHealth(t, http1, http.StatusServiceUnavailable)
	resp, err := http.Get("http://" + http1 + "/")
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("request while draining: %v %v, want 200", resp, err)
	}
	resp.Body.Close()
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("run: %v", err)
		}
	case <-time.After(15 * time.Second):
		t.Error("run did not end 15s after SIGTERM")
	}
	if c, err := net.Dial("tcp", http1); err == nil {
		c.Close()
		t.Error("still listens after the end")
	}
}

func TestConfigNamesTheBadVariable(t *testing.T) {
	_, err := configFrom(func(k string) string { return map[string]string{"DRAIN": "soon"}[k] })
	if err == nil || !strings.Contains(err.Error(), "DRAIN") {
		t.Errorf("error %v, want one that names DRAIN", err)
	}
}

func send(t *testing.T, client *http.Client, req *http.Request) (answer, int) {
	t.Helper()
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var got answer
	if err := json.NewDecoder(resp.Body).Decode(&got); err != nil {
		t.Fatal(err)
	}
	return got, resp.StatusCode
}

func awaitHealth(t *testing.T, addr string, want int) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for time.Now().Before(deadline) {
		resp, err := http.Get("http://" + addr + "/healthz")
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == want {
				return
			}
		}
		<-time.After(5 * time.Millisecond)
	}
	t.Fatalf("/healthz did not become %d", want)
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func freeAddr(t *testing.T) string {
	t.Helper()
	l := listen(t)
	l.Close()
	return l.Addr().String()
}

func dial(t *testing.T, l net.Listener) (net.Conn, *bufio.Reader) {
	t.Helper()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return conn, bufio.NewReader(conn)
}

func readLine(t *testing.T, r *bufio.Reader) string {
	t.Helper()
	line, err := r.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return line
}

func TestResetBreaksAnAnswerThatHasBegun(t *testing.T) {
	srv := httptest.NewServer(newHTTP(identity{}).server.Handler)
	defer srv.Close()
	resp, err := http.Get(srv.URL + "/reset")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.ReadAll(resp.Body); resp.StatusCode != http.StatusOK || err == nil {
		t.Errorf("status %d, body ended with %v, want a broken connection", resp.StatusCode, err)
	}
}
