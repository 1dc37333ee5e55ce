// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	"github.com/l7mp/mc-wan/sandbox/apps/wire"
)

// message is what every request carries.
const message = "how is the weather"

func callerOf(o options, target string) (caller, error) {
	switch o.protocol {
	case "get":
		return overHTTP(target, http.MethodGet, "", manyConnections(o)), nil
	case "h2":
		return overHTTP(target, http.MethodGet, "", oneConnection()), nil
	case "post":
		return overHTTP(target, http.MethodPost, message, manyConnections(o)), nil
	case "put":
		return overHTTP(target, http.MethodPut, message, manyConnections(o)), nil
	case "grpc":
		return overGRPC(target)
	case "tcp":
		return overTCP(target), nil
	}
	return nil, fmt.Errorf("unknown protocol %q; there are get, h2, put, post, grpc, tcp", o.protocol)
}

// manyConnections are kept, as many as are needed at once: HTTP/1.1.
func manyConnections(o options) *http.Transport {
	return &http.Transport{MaxIdleConnsPerHost: o.rate, MaxIdleConns: o.rate}
}

// oneConnection carries all requests: HTTP/2 without TLS, and without a question whether the server speaks it.
func oneConnection() *http.Transport {
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Transport{Protocols: protocols}
}

func overHTTP(url, method, body string, transport *http.Transport) caller {
	client := &http.Client{Transport: transport}
	return func(ctx context.Context) (answer, error) {
		req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewBufferString(body))
		if err != nil {
			return answer{}, err
		}
		resp, err := client.Do(req)
		if err != nil {
			return answer{}, err
		}
		text, err := io.ReadAll(resp.Body)
		if closeErr := resp.Body.Close(); err == nil {
			err = closeErr
		}
		if err != nil {
			return answer{}, err
		}
		if resp.StatusCode != http.StatusOK {
			return answer{}, fmt.Errorf("status %d: %s", resp.StatusCode, excerpt(string(text)))
		}
		var got struct {
			Cluster string      `json:"cluster"`
			Headers http.Header `json:"headers"`
		}
		if err := json.Unmarshal(text, &got); err != nil {
			return answer{}, fmt.Errorf("not an answer of echo: %q", excerpt(string(text)))
		}
		return answer{got.Cluster, got.Headers.Get(wire.ArrivedHeader)}, nil
	}
}

// excerpt is a text that fits a line of a report: a long one without its middle, because what Envoy says of a request ends
// with the reason.
func excerpt(text string) string {
	const most, begin, gap = 200, 60, " ... "
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:begin]+gap+text[len(text)-(most-begin-len(gap)):], "")
}

func overGRPC(target string) (caller, error) {
	conn, err := grpc.NewClient(target, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) (answer, error) {
		var header metadata.MD
		text, err := wire.Say(ctx, conn, message, grpc.Header(&header))
		if err != nil {
			return answer{}, err
		}
		var got wire.Greeting
		if err := json.Unmarshal([]byte(text), &got); err != nil {
			return answer{}, fmt.Errorf("not an answer of echo: %q", excerpt(text))
		}
		return answer{got.Cluster, strings.Join(header.Get(wire.ArrivedHeader), "")}, nil
	}, nil
}

// overTCP makes a connection a request: what a client sees of a dead tunnel is whether it is connected.
func overTCP(target string) caller {
	return func(ctx context.Context) (answer, error) {
		var d net.Dialer
		conn, err := d.DialContext(ctx, "tcp", target)
		if err != nil {
			return answer{}, err
		}
		defer func() { _ = conn.Close() }() // what was to be read has been read
		if deadline, ok := ctx.Deadline(); ok {
			if err := conn.SetDeadline(deadline); err != nil {
				return answer{}, err
			}
		}
		in := bufio.NewReader(conn)
		banner, err := in.ReadString('\n')
		if err != nil {
			return answer{}, fmt.Errorf("banner: %w", err)
		}
		if _, err := io.WriteString(conn, message+"\n"); err != nil {
			return answer{}, err
		}
		if line, err := in.ReadString('\n'); err != nil || strings.TrimSpace(line) != message {
			return answer{}, fmt.Errorf("echo %.40q: %w", line, err)
		}
		words := strings.Fields(banner)
		if len(words) == 0 {
			return answer{}, fmt.Errorf("banner %q", banner)
		}
		return answer{cluster: words[len(words)-1]}, nil
	}
}
