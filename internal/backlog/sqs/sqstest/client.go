package sqstest

import (
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// A Client puts messages into queues and takes them, as producers and workers do.
type Client struct {
	*sqs.Client

	server *Server
}

// NewClient returns a client of the server.
func (s *Server) NewClient() *Client { return s.NewClientOf(Key{ID: AccessKeyID, Secret: SecretKey}) }

// NewClientOf returns a client with an access key.
func (s *Server) NewClientOf(key Key) *Client {
	return &Client{server: s, Client: sqs.New(sqs.Options{
		Region: Region, BaseEndpoint: aws.String(s.URL()), Credentials: credentials.NewStaticCredentialsProvider(key.ID, key.Secret, ""),
	})}
}

// URL returns the URL of a queue.
func (c *Client) URL(queue string) string {
	return fmt.Sprintf("%s/%s/%s", c.server.URL(), Account, queue)
}

// Create creates a queue unless it exists.
func (c *Client) Create(t testing.TB, queue string, attributes map[string]string) {
	t.Helper()
	if _, err := c.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: &queue, Attributes: attributes}); err != nil {
		t.Fatal(err)
	}
}

// Send sends n messages, which are delayed by so many seconds. In a FIFO queue they are of one group each.
func (c *Client) Send(t testing.TB, queue string, n int, delay int32) {
	t.Helper()
	url := c.URL(queue)
	for i := range n {
		body := fmt.Sprintf("message %d", i)
		input := &sqs.SendMessageInput{QueueUrl: &url, MessageBody: &body, DelaySeconds: delay}
		if len(queue) > 5 && queue[len(queue)-5:] == ".fifo" {
			input.MessageGroupId, input.MessageDeduplicationId = aws.String(fmt.Sprint("group ", i)), aws.String(fmt.Sprint("message ", i))
		}
		if _, err := c.SendMessage(t.Context(), input); err != nil {
			t.Fatal(err)
		}
	}
}

// Receive receives n messages, which are in flight for ten minutes, and returns their handles.
func (c *Client) Receive(t testing.TB, queue string, n int) (handles []string) {
	t.Helper()
	url := c.URL(queue)
	for len(handles) < n {
		answer, err := c.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: &url, MaxNumberOfMessages: int32(min(n-len(handles), 10)), VisibilityTimeout: 600})
		if err != nil {
			t.Fatal(err)
		}
		if len(answer.Messages) == 0 {
			t.Fatalf("%d of %d messages of %s can be received", len(handles), n, queue)
		}
		for i := range answer.Messages {
			handles = append(handles, *answer.Messages[i].ReceiptHandle)
		}
	}
	return handles
}

// Delete deletes messages that were received.
func (c *Client) Delete(t testing.TB, queue string, handles ...string) {
	t.Helper()
	url := c.URL(queue)
	for _, handle := range handles {
		if _, err := c.DeleteMessage(t.Context(), &sqs.DeleteMessageInput{QueueUrl: &url, ReceiptHandle: &handle}); err != nil {
			t.Fatal(err)
		}
	}
}

// Release makes messages visible again that were received.
func (c *Client) Release(t testing.TB, queue string, handles ...string) {
	t.Helper()
	url := c.URL(queue)
	for _, handle := range handles {
		if _, err := c.ChangeMessageVisibility(t.Context(), &sqs.ChangeMessageVisibilityInput{QueueUrl: &url, ReceiptHandle: &handle}); err != nil {
			t.Fatal(err)
		}
	}
}

// Attribute returns an attribute of a queue.
func (c *Client) Attribute(t testing.TB, queue string, name types.QueueAttributeName) string {
	t.Helper()
	url := c.URL(queue)
	answer, err := c.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: []types.QueueAttributeName{name}})
	if err != nil {
		t.Fatal(err)
	}
	return answer.Attributes[string(name)]
}
