// sqs-consumer on Node: handlebars renders, nodemailer makes the email, SES takes it as it is.
// PEER_BATCH=on hands ten messages to one handler and deletes them together.
import { SESClient, SendRawEmailCommand } from "@aws-sdk/client-ses";
import { SQSClient } from "@aws-sdk/client-sqs";
import handlebars from "handlebars";
import MailComposer from "nodemailer/lib/mail-composer/index.js";
import { Consumer } from "sqs-consumer";
import { readFileSync } from "node:fs";

const endpoint = process.env.AWS_ENDPOINT_URL;
const template = (name, options) =>
  handlebars.compile(readFileSync(new URL(name, import.meta.url), "utf8"), options);
handlebars.registerHelper("money", (cents) => (cents / 100).toFixed(2));
const html = template("order.html.hbs");
const text = template("order.txt.hbs", { noEscape: true });
const config = { endpoint, region: process.env.AWS_DEFAULT_REGION, requestHandler: { httpAgent: { maxSockets: 1024 } } };
const sqs = new SQSClient(config);
const ses = new SESClient(config);

async function send(message) {
  const order = JSON.parse(message.Body).data;
  const raw = await new MailComposer({
    from: "Notifier Shop <shop@example.com>",
    to: order.customer.email,
    subject: `Your order ${order.order_number} is confirmed`,
    text: text(order),
    html: html(order),
  }).compile().build();
  await ses.send(new SendRawEmailCommand({ RawMessage: { Data: raw } }));
}

const handlers = process.env.PEER_BATCH === "on"
  ? { handleMessageBatch: async (messages) => { await Promise.all(messages.map(send)); return messages; } }
  : { handleMessage: async (message) => { await send(message); return message; } };
for (let number = 0; number < Number(process.env.PEER_CONCURRENCY); number += 1) {
  const queueUrl = `${endpoint}/000000000000/${process.env.PEER_QUEUE}`;
  const consumer = Consumer.create({ queueUrl, sqs, batchSize: 10, waitTimeSeconds: 20, ...handlers });
  for (const name of ["error", "processing_error"]) consumer.on(name, (error) => console.error(name, error.message));
  consumer.start();
}
