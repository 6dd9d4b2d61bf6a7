package subject

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/sqs/sqstest"
)

// sqsRounds is how often each side reads all queues: each is a call of its own, and the server takes seconds for all.
const sqsRounds = 3

// sqsConnections is how many calls the bare client makes at the same time, as the engine does.
const sqsConnections = 3

// SQS measures the engine of that name, on a server that speaks its protocol. SQS notifies of nothing: the producer
// gives a hint, POST /wake. The bare client, the SDK of AWS, asks for the numbers of each queue by three calls at a
// time.
func SQS(ctx context.Context, programs Programs) (Result, error) {
	return measureEngine(ctx, programs, (*stage).sqs)
}

func (s *stage) sqs(ctx context.Context) (*queueServer, error) {
	server, err := sqstest.Launch(ctx)
	if err != nil {
		return nil, err
	}
	s.endings = append(s.endings, func() error { server.Close(); return nil })
	far, err := s.distance()
	if err != nil {
		return nil, err
	}
	secret, err := s.secret("sqs", sqstest.SecretKey)
	if err != nil {
		return nil, err
	}
	queues := teamQueues()
	client := bareSQS(server.Addr())
	url := func(i int) *string { return aws.String(sqsURL(server.Addr(), queues[i])) }
	write := func(ctx context.Context, i int) error {
		_, err := client.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: url(i), MessageBody: aws.String("work")})
		return err
	}
	err = each(len(queues), callers, func(i int) error {
		if _, err := client.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: &queues[i]}); err != nil {
			return fmt.Errorf("create queue %s: %w", queues[i], err)
		}
		if i >= engineBusy {
			return nil
		}
		return write(ctx, i)
	})
	if err != nil {
		return nil, err
	}
	return &queueServer{
		engine: "sqs", address: server.Addr(), brokers: []string{server.Addr()}, far: far.To(server.Addr()),
		settings: func(address string) []string {
			return []string{
				"region: " + sqstest.Region, fmt.Sprintf("endpoint: %q", "http://"+address), "accessKeyID: " + sqstest.AccessKeyID,
				"secretAccessKey: " + secret, "callsPerMinute: 10000000", "emptyFor: 1ms", answerTimeout,
			}
		},
		layout: "queue", queues: queues, parameters: none,
		bare: func(_ context.Context, address string) (func(context.Context) error, error) {
			client := bareSQS(address)
			return func(ctx context.Context) error { return readSQS(ctx, client, address, queues) }, nil
		},
		write:   write,
		rounds:  sqsRounds,
		limits:  engineLimits{rate: 0.6, trips: 400, p50: 100, p99: 1000},
		notices: "a hint", hinted: true,
	}, nil
}

func sqsURL(address, queue string) string {
	return "http://" + address + "/" + sqstest.Account + "/" + queue
}

// bareSQS is the bare client.
func bareSQS(address string) *sqs.Client {
	return sqs.New(sqs.Options{
		Region: sqstest.Region, BaseEndpoint: aws.String("http://" + address), Retryer: aws.NopRetryer{},
		Credentials: credentials.NewStaticCredentialsProvider(sqstest.AccessKeyID, sqstest.SecretKey, ""),
	})
}

// readSQS asks for the numbers of all queues.
func readSQS(ctx context.Context, client *sqs.Client, address string, queues []string) error {
	return each(len(queues), sqsConnections, func(i int) error {
		_, err := client.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{
			QueueUrl: aws.String(sqsURL(address, queues[i])), AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameAll},
		})
		return err
	})
}
