package inspector

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"

	"connectrpc.com/connect"
	"google.golang.org/grpc"
	"google.golang.org/grpc/reflection"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	reflectionalpha "google.golang.org/grpc/reflection/grpc_reflection_v1alpha"
	"google.golang.org/grpc/status"

	pb "github.com/backlog-scaler/backlog-scaler/gen/backlogscaler/v1"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// minCompressed is the size from which a reply is compressed for clients that accept that, in
// bytes: below, it costs more than it saves.
const minCompressed = 4 << 10

// Routes returns the handlers of the Inspector and of reflection by the patterns of their paths.
// They speak gRPC, gRPC-Web and Connect's protocol, which is JSON over HTTP.
func (i *Inspector) Routes() map[string]http.Handler {
	options := connect.WithHandlerOptions(
		connect.WithReadMaxBytes(maxRequest), connect.WithCompressMinBytes(minCompressed),
		connect.WithRecover(func(_ context.Context, _ connect.Spec, _ http.Header, p any) error {
			return connect.NewError(connect.CodeInternal, fmt.Errorf("internal error: %v", p))
		}),
	)
	reflected := reflectionHandler()
	return map[string]http.Handler{
		pb.InspectorService_ListTriggers_FullMethodName:                      unary(pb.InspectorService_ListTriggers_FullMethodName, i.ListTriggers, options),
		pb.InspectorService_Explain_FullMethodName:                           unary(pb.InspectorService_Explain_FullMethodName, i.Explain, options),
		pb.InspectorService_ExplainPolicy_FullMethodName:                     unary(pb.InspectorService_ExplainPolicy_FullMethodName, i.ExplainPolicy, options),
		pb.InspectorService_ListConnections_FullMethodName:                   unary(pb.InspectorService_ListConnections_FullMethodName, i.ListConnections, options),
		pb.InspectorService_WatchDecisions_FullMethodName:                    i.watchHandler(options),
		"/" + reflectionv1.ServerReflection_ServiceDesc.ServiceName + "/":    reflected,
		"/" + reflectionalpha.ServerReflection_ServiceDesc.ServiceName + "/": reflected,
	}
}

// lazily returns a handler that is built when a client first asks: at the start of the program those of
// all methods would take time, and most programs are asked by none.
func lazily(build func() http.Handler) http.Handler {
	handler := sync.OnceValue(build)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler().ServeHTTP(w, r) })
}

// unary returns the handler of one method.
func unary[Request, Reply any](procedure string, call func(context.Context, *Request) (*Reply, error), options connect.HandlerOption) http.Handler {
	return lazily(func() http.Handler {
		return connect.NewUnaryHandlerSimple(procedure, func(ctx context.Context, request *Request) (*Reply, error) {
			reply, err := call(ctx, request)
			return reply, rpcError(err)
		}, options)
	})
}

// watchHandler returns the handler of WatchDecisions, whose messages are presented when they are
// built.
func (i *Inspector) watchHandler(options connect.HandlerOption) http.Handler {
	return lazily(func() http.Handler {
		return connect.NewServerStreamHandlerSimple(pb.InspectorService_WatchDecisions_FullMethodName,
			func(ctx context.Context, request *pb.WatchDecisionsRequest, stream *connect.ServerStream[Frame]) error {
				return rpcError(i.WatchDecisions(ctx, request, stream.Send))
			}, options, connect.WithCodec(frameCodec{codecProto}), connect.WithCodec(frameCodec{codecJSON}))
	})
}

// rpcError returns the error of a method, a gRPC status, as Connect sends it.
func rpcError(err error) error {
	if err == nil {
		return nil
	}
	if sent := new(connect.Error); errors.As(err, &sent) {
		return err
	}
	s := status.Convert(err)
	return connect.NewError(connect.Code(s.Code()), errors.New(backlog.Line(s.Message())))
}

// services are what reflection lists.
type services struct{}

// GetServiceInfo implements reflection.ServiceInfoProvider.
func (services) GetServiceInfo() map[string]grpc.ServiceInfo {
	desc := pb.InspectorService_ServiceDesc
	return map[string]grpc.ServiceInfo{desc.ServiceName: {Metadata: desc.Metadata}}
}

// reflectionHandler returns the handler of both versions of reflection: a server of grpc-go, because
// Connect's own reflection takes a millisecond of each start.
func reflectionHandler() http.Handler {
	return lazily(func() http.Handler {
		g := grpc.NewServer(grpc.MaxRecvMsgSize(maxRequest))
		options := reflection.ServerOptions{Services: services{}}
		reflectionv1.RegisterServerReflectionServer(g, reflection.NewServerV1(options))
		reflectionalpha.RegisterServerReflectionServer(g, reflection.NewServer(options))
		return g
	})
}
