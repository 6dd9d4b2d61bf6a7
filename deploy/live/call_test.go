package live

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protowire"
)

// service is KEDA's contract.
const service = "/externalscaler.ExternalScaler/"

// A message is a protobuf message in its encoded form. KEDA's generated types would bring all of KEDA's
// requirements into this module.
type message []byte

// A codec passes messages through.
type codec struct{}

// Name is the content type's.
func (codec) Name() string { return "proto" }

// Marshal returns the bytes of a *message.
func (codec) Marshal(v any) ([]byte, error) {
	m, ok := v.(*message)
	if !ok {
		return nil, fmt.Errorf("marshal %T: want *message", v)
	}
	return *m, nil
}

// Unmarshal fills a *message.
func (codec) Unmarshal(data []byte, v any) error {
	m, ok := v.(*message)
	if !ok {
		return fmt.Errorf("unmarshal %T: want *message", v)
	}
	*m = append(message(nil), data...)
	return nil
}

// A trigger is what KEDA sends of a ScaledObject.
type trigger struct {
	namespace, scaledObject string
	metadata                map[string]string
}

// ref encodes a ScaledObjectRef: name is field 1, namespace 2, the map of metadata 3.
func (tr trigger) ref() *message {
	text := func(b []byte, field protowire.Number, value string) []byte {
		return protowire.AppendString(protowire.AppendTag(b, field, protowire.BytesType), value)
	}
	b := text(text(nil, 1, tr.scaledObject), 2, tr.namespace)
	for key, value := range tr.metadata {
		entry := text(text(nil, 1, key), 2, value)
		b = protowire.AppendBytes(protowire.AppendTag(b, 3, protowire.BytesType), entry)
	}
	m := message(b)
	return &m
}

// isActive calls IsActive.
func isActive(ctx context.Context, conn *grpc.ClientConn, tr trigger) (bool, error) {
	var reply message
	if err := conn.Invoke(ctx, service+"IsActive", tr.ref(), &reply, grpc.ForceCodec(codec{})); err != nil {
		return false, fmt.Errorf("call IsActive: %w", err)
	}
	return len(reply) > 0, nil // the only field is a bool, and false is not sent
}

// metricSpec calls GetMetricSpec; the reply is only known to be there.
func metricSpec(ctx context.Context, conn *grpc.ClientConn, tr trigger) error {
	var reply message
	if err := conn.Invoke(ctx, service+"GetMetricSpec", tr.ref(), &reply, grpc.ForceCodec(codec{})); err != nil {
		return fmt.Errorf("call GetMetricSpec: %w", err)
	}
	if len(reply) == 0 {
		return errors.New("call GetMetricSpec: the reply is empty")
	}
	return nil
}

// openStream opens StreamIsActive and waits for its first message.
func openStream(ctx context.Context, conn *grpc.ClientConn, tr trigger) error {
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, service+"StreamIsActive", grpc.ForceCodec(codec{}))
	if err != nil {
		return fmt.Errorf("open StreamIsActive: %w", err)
	}
	if err := stream.SendMsg(tr.ref()); err != nil {
		return fmt.Errorf("send on StreamIsActive: %w", err)
	}
	if err := stream.CloseSend(); err != nil {
		return fmt.Errorf("close sending on StreamIsActive: %w", err)
	}
	var reply message
	if err := stream.RecvMsg(&reply); err != nil {
		return fmt.Errorf("receive on StreamIsActive: %w", err)
	}
	return nil
}

// redisCommands sends commands as text, one after another, and fails at the first error.
func redisCommands(ctx context.Context, address string, commands ...string) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("connect to redis: %w", err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		return fmt.Errorf("set a deadline: %w", err)
	}
	replies := bufio.NewReader(conn)
	for _, command := range commands {
		if _, err := fmt.Fprintf(conn, "%s\r\n", command); err != nil {
			return fmt.Errorf("send to redis: %w", err)
		}
		line, err := replies.ReadString('\n')
		if err != nil {
			return fmt.Errorf("read from redis: %w", err)
		}
		if strings.HasPrefix(line, "$") { // a bulk string follows
			if _, err := replies.ReadString('\n'); err != nil {
				return fmt.Errorf("read from redis: %w", err)
			}
		}
		if strings.HasPrefix(line, "-") {
			return fmt.Errorf("redis: %s: %s", command, strings.TrimSpace(line))
		}
	}
	return nil
}
