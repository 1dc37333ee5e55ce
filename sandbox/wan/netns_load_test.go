// SPDX-License-Identifier: Apache-2.0

//go:build netns

package wan

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// The load runs in processes of their own, so that the processor time of each part can be told apart.
const (
	roleVariable = "MCWAN_WAN_TEST_ROLE"
	jobVariable  = "MCWAN_WAN_TEST_JOB"
)

// job is what a child process is to do.
type job struct {
	Config   Config         `json:"config"` // of the SD-WAN
	Netns    string         `json:"netns"`
	Address  netip.AddrPort `json:"address"`
	Workers  int            `json:"workers"`
	Duration time.Duration  `json:"duration"`
	Size     int            `json:"size"` // bytes of an answer
	Raw      bool           `json:"raw"`  // no HTTP: messages of Size bytes and their echo
}

// result is what a client reports.
type result struct {
	Requests, Failed int
	Median, P99      time.Duration
	Seconds          float64
}

func TestMain(m *testing.M) {
	roles := map[string]func(job) error{"wan": runWAN, "server": runServer, "client": runClient, "sender": runSender}
	role, isChild := roles[os.Getenv(roleVariable)]
	if !isChild {
		os.Exit(m.Run()) //nolint:forbidigo // TestMain is the main function of this binary
	}
	var j job
	err := json.Unmarshal([]byte(os.Getenv(jobVariable)), &j)
	if err == nil {
		err = role(j)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1) //nolint:forbidigo // TestMain is the main function of this binary
	}
}

// child starts a role of this test binary; it is killed when the test ends.
func child(t testing.TB, role string, j job) (*exec.Cmd, *bufio.Reader) {
	t.Helper()
	spec, err := json.Marshal(j)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), roleVariable+"="+role, jobVariable+"="+string(spec))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return cmd, bufio.NewReader(out)
}

func runWAN(j job) error { return Run(context.Background(), j.Config) }

// runServer answers HTTP with j.Size bytes, and swallows UDP on the same port.
func runServer(j job) error {
	var l net.Listener
	var u net.PacketConn
	err := inNetns(j.Netns, func() (err error) {
		if l, err = net.Listen("tcp", j.Address.String()); err != nil {
			return err
		}
		u, err = net.ListenPacket("udp", j.Address.String())
		return err
	})
	if err != nil {
		return err
	}
	defer u.Close()
	fmt.Println("ready")
	if j.Raw {
		serveEcho(l)
		return nil
	}
	body := make([]byte, j.Size)
	return http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(body) }))
}

// runClient keeps j.Workers requests under way for j.Duration, each worker on a connection of its own.
func runClient(j job) error {
	start := time.Now()
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		sum  result
		took []time.Duration
	)
	newRequest := httpRequests(j)
	if j.Raw {
		newRequest = func() func() error { return rawRequests(j) }
	}
	for range j.Workers {
		wg.Go(func() {
			request, failed := newRequest(), 0
			var times []time.Duration
			for time.Since(start) < j.Duration {
				at := time.Now()
				if err := request(); err != nil {
					failed++
					continue
				}
				times = append(times, time.Since(at))
			}
			mu.Lock()
			defer mu.Unlock()
			sum.Failed += failed
			took = append(took, times...)
		})
	}
	wg.Wait()
	sum.Seconds, sum.Requests = time.Since(start).Seconds(), len(took)
	if slices.Sort(took); len(took) > 0 {
		sum.Median, sum.P99 = took[len(took)/2], took[len(took)*99/100]
	}
	return json.NewEncoder(os.Stdout).Encode(sum)
}

// httpRequests returns a function that makes requests on connections that are kept.
func httpRequests(j job) func() func() error {
	here := place{netns: filepath.Base(j.Netns)}
	client := &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{
		MaxIdleConnsPerHost: j.Workers, DisableCompression: true,
		DialContext: func(context.Context, string, string) (net.Conn, error) {
			return here.dial("tcp", j.Address, 10*time.Second)
		},
	}}
	get := func() error {
		resp, err := client.Get("http://" + j.Address.String())
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		_, err = io.Copy(io.Discard, resp.Body)
		return err
	}
	return func() func() error { return get }
}

// rawRequests returns a function that sends a message and waits for its echo, on a connection of its own: the packets of HTTP
// without the processor time of HTTP.
func rawRequests(j job) func() error {
	c, err := place{netns: filepath.Base(j.Netns)}.dial("tcp", j.Address, 10*time.Second)
	message := make([]byte, j.Size)
	return func() error {
		if err != nil {
			return err
		}
		if _, err := c.Write(message); err != nil {
			return err
		}
		_, err := io.ReadFull(c, message)
		return err
	}
}

// runSender sends small UDP packets as fast as it can.
func runSender(j job) error {
	c, err := place{netns: filepath.Base(j.Netns)}.dial("udp", j.Address, time.Second)
	if err != nil {
		return err
	}
	defer c.Close()
	data := make([]byte, j.Size)
	start := time.Now()
	sum := result{}
	for time.Since(start) < j.Duration {
		for range 100 {
			if _, err := c.Write(data); err != nil {
				sum.Failed++
				continue
			}
			sum.Requests++
		}
	}
	sum.Seconds = time.Since(start).Seconds()
	return json.NewEncoder(os.Stdout).Encode(sum)
}

// cpu returns the processor time that a process has used (user and system, in ticks of 10 ms).
func cpu(t testing.TB, cmd *exec.Cmd) float64 {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+2:]))
	var ticks float64
	for _, f := range fields[11:13] {
		n, err := strconv.ParseFloat(f, 64)
		if err != nil {
			t.Fatal(err)
		}
		ticks += n
	}
	return ticks / 100
}

// TestLoad reports what the SD-WAN carries. It asserts what must hold at any speed: nothing fails, nothing is lost, and all is
// on the tunnel of its port.
func TestLoad(t *testing.T) {
	for _, c := range []struct {
		name, role    string
		latency       time.Duration
		workers, size int
		raw           bool
	}{
		{"small requests, 2 ms round trip", "client", time.Millisecond, 128, 100, false},
		{"small requests, 20 ms round trip", "client", 10 * time.Millisecond, 600, 100, false},
		{"messages of 300 bytes, 20 ms round trip", "client", 10 * time.Millisecond, 1000, 300, true},
		{"downloads of 1 MB, 2 ms round trip", "client", time.Millisecond, 8, 1 << 20, false},
		{"UDP of 200 bytes, one way", "sender", time.Millisecond, 1, 200, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, b := newPlace(t, "a", 11), newPlace(t, "b", 12)
			socket := filepath.Join(t.TempDir(), "wan.sock")
			wanProcess, _ := child(t, "wan", job{Config: netnsConfig(socket, c.latency, a, b)})
			control := NewClient(socket)
			waitAttached(t, control)
			to := netip.AddrPortFrom(b.v4, 31111)
			server, ready := child(t, "server", job{Netns: b.path(), Address: to, Size: c.size, Raw: c.raw})
			if _, err := ready.ReadString('\n'); err != nil {
				t.Fatal(err)
			}
			before := cpu(t, wanProcess)
			load, out := child(t, c.role, job{Netns: a.path(), Address: to, Workers: c.workers, Size: c.size, Raw: c.raw, Duration: 5 * time.Second})
			var got result
			if err := json.NewDecoder(out).Decode(&got); err != nil {
				t.Fatal(err)
			}
			report(t, got, control, cpu(t, wanProcess)-before, cpu(t, server)+cpu(t, load), c.role == "client")
		})
	}
}

func report(t *testing.T, got result, control *Client, used, usedByLoad float64, isHTTP bool) {
	t.Helper()
	c, err := control.Counters(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	all := c.Sum(func(Flow) bool { return true })
	t.Logf("%.0f requests/s, %d failed, median %v, p99 %v; %.0f packets/s, %.0f Mbit/s; SD-WAN %.2f cores, %.1f µs a packet; load %.2f cores",
		float64(got.Requests)/got.Seconds, got.Failed, got.Median.Round(10*time.Microsecond), got.P99.Round(10*time.Microsecond),
		float64(all.Packets)/got.Seconds, float64(all.Bytes)*8e-6/got.Seconds, used/got.Seconds, used*1e6/float64(all.Packets), usedByLoad/got.Seconds)
	if got.Failed != 0 || all.Dropped.Total() != 0 {
		t.Errorf("%d requests failed, the SD-WAN dropped %+v, want none", got.Failed, all.Dropped)
	}
	if isHTTP && c.Sum(onTunnel("business")).Packets != all.Packets {
		t.Errorf("%+v, want all on business", c.Flows)
	}
}
