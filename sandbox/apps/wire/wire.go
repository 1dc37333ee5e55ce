// SPDX-License-Identifier: Apache-2.0

// Package wire is what the test backend and the test client say to each other: the greeting that tells who answers, and a
// gRPC service, written by hand on well-known types so that no code has to be generated.
package wire

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// CertificateName is the common name of the backend's own TLS certificate, by which a client sees that nobody opened its
// TLS on the way.
const CertificateName = "mcwan-echo"

// ArrivedHeader is what mc-wan's ingress gateway tells a backend: the WAN policy port on which a request came. The gRPC
// service answers it as a header.
const ArrivedHeader = "x-mcw-wan-port"

// Greeting says who answers: the first WebSocket message, and the text of every gRPC answer with the client's in it.
type Greeting struct {
	Pod     string `json:"pod"`
	Cluster string `json:"cluster"`
	Text    string `json:"text,omitempty"`
}

// Text is a message of the gRPC service.
type Text = wrapperspb.StringValue

// Server answers the gRPC service.
type Server interface {
	// Say answers one message with a Greeting as JSON.
	Say(context.Context, *Text) (*Text, error)
	// Chat answers every message of a stream so, when it comes.
	Chat(grpc.BidiStreamingServer[Text, Text]) error
}

const (
	service    = "mcwan.echo.Echo"
	methodSay  = "/" + service + "/Say"
	methodChat = "/" + service + "/Chat"
)

// Register adds the service to a gRPC server.
func Register(s grpc.ServiceRegistrar, srv Server) {
	s.RegisterService(&grpc.ServiceDesc{
		ServiceName: service,
		HandlerType: (*Server)(nil),
		Methods:     []grpc.MethodDesc{{MethodName: "Say", Handler: say}},
		Streams:     []grpc.StreamDesc{chat()},
	}, srv)
}

func say(srv any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
	in := &Text{}
	if err := decode(in); err != nil {
		return nil, err
	}
	return srv.(Server).Say(ctx, in)
}

func chat() grpc.StreamDesc {
	return grpc.StreamDesc{
		StreamName: "Chat", ServerStreams: true, ClientStreams: true,
		Handler: func(srv any, stream grpc.ServerStream) error {
			return srv.(Server).Chat(&grpc.GenericServerStream[Text, Text]{ServerStream: stream})
		},
	}
}

// Say calls the service once.
func Say(ctx context.Context, c grpc.ClientConnInterface, text string, opts ...grpc.CallOption) (string, error) {
	out := &Text{}
	if err := c.Invoke(ctx, methodSay, wrapperspb.String(text), out, opts...); err != nil {
		return "", err
	}
	return out.Value, nil
}

// Chat opens a stream that both sides may write to at any time.
func Chat(ctx context.Context, c grpc.ClientConnInterface) (grpc.BidiStreamingClient[Text, Text], error) {
	desc := chat()
	stream, err := c.NewStream(ctx, &desc, methodChat)
	if err != nil {
		return nil, err
	}
	return &grpc.GenericClientStream[Text, Text]{ClientStream: stream}, nil
}
