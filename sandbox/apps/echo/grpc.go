// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/l7mp/mc-wan/sandbox/apps/wire"
)

// grpcEcho answers gRPC calls with themselves.
type grpcEcho struct {
	id identity
}

func newGRPC(id identity) *grpc.Server {
	s := grpc.NewServer()
	wire.Register(s, grpcEcho{id})
	return s
}

func (e grpcEcho) Say(ctx context.Context, in *wire.Text) (*wire.Text, error) {
	if port := metadata.ValueFromIncomingContext(ctx, wire.ArrivedHeader); len(port) > 0 {
		if err := grpc.SetHeader(ctx, metadata.Pairs(wire.ArrivedHeader, port[0])); err != nil {
			return nil, err
		}
	}
	return e.greet(in)
}

func (e grpcEcho) greet(in *wire.Text) (*wire.Text, error) {
	out, err := json.Marshal(wire.Greeting{Pod: e.id.Pod, Cluster: e.id.Cluster, Text: in.Value})
	if err != nil {
		return nil, err
	}
	return wrapperspb.String(string(out)), nil
}

func (e grpcEcho) Chat(stream grpc.BidiStreamingServer[wire.Text, wire.Text]) error {
	for {
		in, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		out, err := e.greet(in)
		if err != nil {
			return err
		}
		if err := stream.Send(out); err != nil {
			return err
		}
	}
}

// stopGRPC takes no more calls and waits for those that are open; at the end of ctx it ends them.
func stopGRPC(ctx context.Context, s *grpc.Server) {
	done := make(chan struct{})
	go func() { s.GracefulStop(); close(done) }()
	select {
	case <-done:
	case <-ctx.Done():
		s.Stop()
		<-done
	}
}
