// Makes vectors.json: webhooks signed by the libraries that senders use, for signature_test.
//
//   mkdir /tmp/vectors && cd /tmp/vectors
//   npm install standardwebhooks@1.1.1 svix@1.99.1 stripe@23.1.0
//   node …/tests/data/signatures/make_vectors.mjs > …/tests/data/signatures/vectors.json
//
// Inputs are fixed, so another run gives the same bytes. The packages are those of the directory
// the script is started in; the tests need neither them nor node. The plain forms of Torque have no
// library: node's own crypto makes them. single: the header holds one signature, so altering any
// byte of it must matter.
import { createHmac } from "node:crypto";
import { createRequire } from "node:module";
import { join } from "node:path";

const require = createRequire(join(process.cwd(), "here.js"));
const { Webhook: StandardWebhook } = require("standardwebhooks");
const { Webhook: SvixWebhook } = require("svix");
const Stripe = require("stripe");
const stripe = new (Stripe.default ?? Stripe)("sk_test_unused");
const versionOf = (name) =>
	require(join(process.cwd(), "node_modules", name, "package.json")).version;

const at = 1705312800; // 2024-01-15T10:00:00Z
const secrets = {
	current: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
	previous: "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oDQmKhEg==",
};
const bodies = {
	form_1: JSON.stringify({
		event: "order.created",
		timestamp: "2024-01-15T10:00:00Z",
		data: {
			orderId: "order_abc123",
			sessionId: "session_abc123",
			businessId: "business_123",
			status: "pending",
			cart: { items: [{ productId: "prod_1", quantity: 2, price: 29.99 }], total: 59.98 },
		},
	}),
	form_2: JSON.stringify({
		id: "evt_1",
		type: "order.paid",
		data: { order: { id: "order_abc123", status: "paid", amount: 59.98 } },
		created: 1640995200,
	}),
	spaced: '{ "event" : "order.paid",\r\n\t"data": {} }\n',
	unicode: '{"event":"order.paid","data":{"name":"Zoë Ångström 漢字 🛒 \\u00e9"}}',
	dotted: ".1705312800.{}",
};

function text(key) {
	return { secret: secrets[key], key: "text" };
}

function base64(key) {
	return { secret: secrets[key], key: "base64" };
}

function torque(name, key, body, write) {
	const bytes = key.key === "text" ? key.secret : Buffer.from(key.secret.slice(6), "base64");
	const signature = write(createHmac("sha256", bytes).update(body, "utf8"));
	return { name, scheme: "torque", ...key, signature, body, single: true };
}

function standard(name, Webhook, key, body) {
	const id = "msg_2KWPBgLlAfxdpx2AI54pPJ85f4W";
	const signature = new Webhook(secrets[key]).sign(id, new Date(at * 1000), body);
	return {
		name, scheme: "standard", ...base64(key), signature, id, timestamp: String(at), at, body,
		single: true,
	};
}

// While a secret is rotated a sender signs with both, and may add a public-key signature.
function rotated(name, Webhook, body) {
	const old = standard(name, Webhook, "previous", body);
	const signature = [
		"v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg==",
		old.signature,
		standard(name, Webhook, "current", body).signature,
	].join(" ");
	return { ...standard(name, Webhook, "current", body), signature, single: false };
}

function timestamped(name, key, body, scheme) {
	const signature = stripe.webhooks.generateTestHeaderString({
		payload: body, secret: secrets[key], timestamp: at, scheme,
	});
	return { name, scheme: "timestamped", ...text(key), signature, at, body, single: true };
}

const vectors = [];
for (const [name, body] of Object.entries(bodies)) {
	vectors.push(
		torque(`torque hex ${name}`, text("current"), body, (mac) => mac.digest("hex")),
		torque(`torque upper-case hex ${name}`, text("current"), body,
			(mac) => mac.digest("hex").toUpperCase()),
		torque(`torque sha256= ${name}`, text("current"), body,
			(mac) => `sha256=${mac.digest("hex")}`),
		torque(`torque base64 ${name}`, text("previous"), body, (mac) => mac.digest("base64")),
		torque(`torque hex, decoded key ${name}`, base64("current"), body,
			(mac) => mac.digest("hex")),
		standard(`standardwebhooks ${name}`, StandardWebhook, "current", body),
		standard(`svix ${name}`, SvixWebhook, "previous", body),
		rotated(`svix, rotated ${name}`, SvixWebhook, body),
		timestamped(`stripe ${name}`, "current", body),
	);
}
vectors.push(
	torque("torque hex, empty body", text("current"), "", (mac) => mac.digest("hex")),
	standard("standardwebhooks, empty body", StandardWebhook, "current", ""),
);

const both = timestamped("stripe, rotated", "current", bodies.form_1);
const old = timestamped("", "previous", bodies.form_1).signature.split(",")[1];
const downgrade = timestamped("", "current", bodies.form_1, "v0").signature.split(",")[1];
vectors.push({ ...both, signature: `${both.signature},${old},${downgrade}`, single: false });

const made_with = { node: process.version };
for (const name of ["standardwebhooks", "svix", "stripe"]) {
	made_with[name] = versionOf(name);
}
process.stdout.write(JSON.stringify({ made_with, vectors }, null, "\t") + "\n");
