// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/gorilla/websocket"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/l7mp/mc-wan/sandbox/apps/wire"
)

// callGRPC makes one unary call and then talks on one stream.
func callGRPC(ctx context.Context, o options, out *result) (err error) {
	conn, err := grpc.NewClient(o.target, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	if _, err := wire.Say(ctx, conn, "hello"); err != nil {
		return fmt.Errorf("unary: %w", err)
	}
	stream, err := wire.Chat(ctx, conn)
	if err != nil {
		return fmt.Errorf("stream: %w", err)
	}
	open, over := context.WithCancelCause(ctx)
	defer over(nil)
	received := make(chan string)
	go receive(open, over, received, func() (string, error) {
		m, err := stream.Recv()
		return m.GetValue(), err
	})
	err = messages(open, o, out, func(text string) (string, error) {
		if err := stream.Send(wrapperspb.String(text)); err != nil {
			return "", err
		}
		select {
		case back := <-received:
			return greeted([]byte(back), out)
		case <-open.Done():
			return "", context.Cause(open)
		}
	})
	if err != nil {
		return err
	}
	if err := stream.CloseSend(); err != nil {
		return fmt.Errorf("closing the stream: %w", err)
	}
	<-open.Done()
	if err := context.Cause(open); !errors.Is(err, io.EOF) {
		return fmt.Errorf("the stream did not end well: %w", err)
	}
	return nil
}

// receive passes on what comes next on a stream, and says when and why the stream is over: also while nobody expects a
// message.
func receive(ctx context.Context, over context.CancelCauseFunc, received chan<- string, next func() (string, error)) {
	for {
		text, err := next()
		if err != nil {
			over(err)
			return
		}
		select {
		case received <- text:
		case <-ctx.Done():
			return
		}
	}
}

func greeted(message []byte, out *result) (string, error) {
	g := wire.Greeting{}
	if err := json.Unmarshal(message, &g); err != nil {
		return "", fmt.Errorf("not a greeting of the echo backend: %w", err)
	}
	out.Pod, out.Cluster = g.Pod, g.Cluster
	return g.Text, nil
}

// callWebSocket talks on a WebSocket.
func callWebSocket(ctx context.Context, o options, out *result) error {
	conn, res, err := websocket.DefaultDialer.DialContext(ctx, o.target, nil)
	if err != nil {
		if res != nil {
			err = fmt.Errorf("%w: %s", err, res.Status)
		}
		return err
	}
	defer func() { _ = conn.Close() }() // nothing is read from it any more
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	_, first, err := conn.ReadMessage()
	if err != nil {
		return fmt.Errorf("greeting: %w", err)
	}
	if _, err := greeted(first, out); err != nil {
		return err
	}
	open, over := context.WithCancelCause(ctx)
	defer over(nil)
	received := make(chan string)
	go receive(open, over, received, func() (string, error) {
		_, back, err := conn.ReadMessage()
		return string(back), err
	})
	return messages(open, o, out, func(text string) (string, error) {
		if err := conn.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
			return "", err
		}
		select {
		case back := <-received:
			return back, nil
		case <-open.Done():
			return "", context.Cause(open)
		}
	})
}

// callTCP says nothing before the server has.
func callTCP(ctx context.Context, o options, out *result) error {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", o.target)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }() // nothing is read from it any more
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	lines := bufio.NewReader(conn)
	if out.Pod, out.Cluster, err = banner(lines); err != nil {
		return err
	}
	return messages(ctx, o, out, func(text string) (string, error) { return line(conn, lines, text) })
}

// banner is the first line that the backend says: who it is.
func banner(lines *bufio.Reader) (pod, cluster string, err error) {
	first, err := lines.ReadString('\n')
	if err != nil {
		return "", "", fmt.Errorf("no banner: %w", err)
	}
	words := strings.Fields(first)
	if len(words) < 2 || words[0] != "mcwan-echo" {
		return "", "", fmt.Errorf("not a banner of the echo backend: %.100q", first)
	}
	if len(words) > 2 {
		cluster = words[2]
	}
	return words[1], cluster, nil
}

func line(conn net.Conn, lines *bufio.Reader, text string) (string, error) {
	if _, err := fmt.Fprintln(conn, text); err != nil {
		return "", err
	}
	back, err := lines.ReadString('\n')
	return strings.TrimSuffix(back, "\n"), err
}
