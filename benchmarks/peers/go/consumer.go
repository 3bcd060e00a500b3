// A consumer in Go with AWS's SDK: each goroutine receives ten messages, sends their emails at once and deletes them
// together. Templates are Go's own, and the email is written by Go's library.
package main

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	htmltemplate "html/template"
	"io"
	"log"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/http"
	"net/textproto"
	"os"
	"strconv"
	"sync"
	"text/template"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/sesv2"
	ses "github.com/aws/aws-sdk-go-v2/service/sesv2/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

const sender = "Notifier Shop <shop@example.com>"

//go:embed order.html.tmpl
var htmlSource string

//go:embed order.txt.tmpl
var textSource string

var (
	money = map[string]any{"money": func(cents int) string { return fmt.Sprintf("%.2f", float64(cents)/100) }}
	html  = htmltemplate.Must(htmltemplate.New("html").Funcs(money).Parse(htmlSource))
	text  = template.Must(template.New("text").Funcs(money).Parse(textSource))
)

type order struct {
	Number   string `json:"order_number"`
	URL      string `json:"order_url"`
	Currency string `json:"currency"`
	Total    int    `json:"total_cents"`
	Customer struct{ Name, Email string }
	Lines    []struct {
		SKU, Name string
		Quantity  int
		Total     int `json:"total_cents"`
	}
	Address struct {
		Name, Street, City, Country string
		PostalCode                  string `json:"postal_code"`
	} `json:"shipping_address"`
}

func main() {
	loops, err := strconv.Atoi(os.Getenv("PEER_CONCURRENCY"))
	check(err)
	endpoint := os.Getenv("AWS_ENDPOINT_URL")
	// The SDK keeps ten connections unless it is told otherwise.
	client := awshttp.NewBuildableClient().WithTransportOptions(func(transport *http.Transport) {
		transport.MaxIdleConns, transport.MaxIdleConnsPerHost = 20*loops, 20*loops
	})
	resolver := aws.EndpointResolverWithOptionsFunc(func(service, region string, _ ...any) (aws.Endpoint, error) {
		return aws.Endpoint{URL: endpoint, SigningRegion: region}, nil
	})
	settings, err := config.LoadDefaultConfig(context.Background(), config.WithHTTPClient(client),
		config.WithEndpointResolverWithOptions(resolver))
	check(err)
	peer := consumer{
		sqs:   sqs.NewFromConfig(settings),
		ses:   sesv2.NewFromConfig(settings),
		queue: endpoint + "/000000000000/" + os.Getenv("PEER_QUEUE"),
	}
	for number := 0; number < loops; number++ {
		go peer.loop()
	}
	select {}
}

type consumer struct {
	sqs   *sqs.Client
	ses   *sesv2.Client
	queue string
}

func (peer consumer) loop() {
	for {
		answer, err := peer.sqs.ReceiveMessage(context.Background(), &sqs.ReceiveMessageInput{
			QueueUrl: &peer.queue, MaxNumberOfMessages: 10, WaitTimeSeconds: 20,
		})
		check(err)
		if len(answer.Messages) > 0 {
			peer.handle(answer.Messages)
		}
	}
}

func (peer consumer) handle(messages []types.Message) {
	done := make([]types.DeleteMessageBatchRequestEntry, len(messages))
	var sending sync.WaitGroup
	for number, message := range messages {
		sending.Add(1)
		done[number] = types.DeleteMessageBatchRequestEntry{
			Id: aws.String(strconv.Itoa(number)), ReceiptHandle: message.ReceiptHandle,
		}
		go func(body string) {
			defer sending.Done()
			check(peer.send(body))
		}(*message.Body)
	}
	sending.Wait()
	_, err := peer.sqs.DeleteMessageBatch(context.Background(), &sqs.DeleteMessageBatchInput{
		QueueUrl: &peer.queue, Entries: done,
	})
	check(err)
}

func (peer consumer) send(body string) error {
	var event struct{ Data order }
	if err := json.Unmarshal([]byte(body), &event); err != nil {
		return err
	}
	raw, err := email(event.Data)
	if err != nil {
		return err
	}
	_, err = peer.ses.SendEmail(context.Background(), &sesv2.SendEmailInput{
		FromEmailAddress: aws.String(sender),
		Destination:      &ses.Destination{ToAddresses: []string{event.Data.Customer.Email}},
		Content:          &ses.EmailContent{Raw: &ses.RawMessage{Data: raw}},
	})
	return err
}

func email(order order) ([]byte, error) {
	var raw bytes.Buffer
	parts := multipart.NewWriter(&raw)
	subject := mime.QEncoding.Encode("utf-8", "Your order "+order.Number+" is confirmed")
	fmt.Fprintf(&raw, "From: %s\r\nTo: %s\r\nSubject: %s\r\nMIME-Version: 1.0\r\n", sender, order.Customer.Email, subject)
	fmt.Fprintf(&raw, "Content-Type: multipart/alternative; boundary=%q\r\n\r\n", parts.Boundary())
	if err := part(parts, "plain", func(to io.Writer) error { return text.Execute(to, order) }); err != nil {
		return nil, err
	}
	if err := part(parts, "html", func(to io.Writer) error { return html.Execute(to, order) }); err != nil {
		return nil, err
	}
	return raw.Bytes(), parts.Close()
}

func part(parts *multipart.Writer, kind string, render func(io.Writer) error) error {
	created, err := parts.CreatePart(textproto.MIMEHeader{
		"Content-Type":              {"text/" + kind + "; charset=utf-8"},
		"Content-Transfer-Encoding": {"quoted-printable"},
	})
	if err != nil {
		return err
	}
	encoded := quotedprintable.NewWriter(created)
	if err := render(encoded); err != nil {
		return err
	}
	return encoded.Close()
}

// A peer that fails ends: its trial does not count.
func check(err error) {
	if err != nil {
		log.Fatal("Error: ", err)
	}
}
