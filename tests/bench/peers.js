// What orderd is measured beside: receivers as one writes them in Node.
//
//	node peers.js fastify|stripe DIRECTORY DATABASE
//
// PostgreSQL's socket is in DIRECTORY, the secret in $SECRET; prints the port. "fastify" verifies
// an event and writes it and its order in one transaction, into the tables of
// one-event-schema.sql; "stripe" hands it to stripe-sync-engine, which keeps the newest form of
// each charge.
'use strict';
const crypto = require('node:crypto');
const fastify = require('fastify');
const pg = require('pg');

const [kind, directory, database] = process.argv.slice(2);
const secret = process.env.SECRET;
const POOL_MAX = 10; // pg's own

const INSERT_EVENT = `
    insert into yardstick.event (event_key, order_id, event_type, event_ts, body)
    values ($1, $2, $3, $4, $5) on conflict do nothing`;
const UPSERT_ORDER = `
    insert into yardstick.orders as o (order_id, status, customer_email, currency, total, items,
        created_at, status_ts)
    values ($1, $2, $3, $4, $5, $6, $7, $8)
    on conflict (order_id) do update
    set status = excluded.status, status_ts = excluded.status_ts, updated_at = now()
    where o.status_ts < excluded.status_ts`;

function isGenuine(body, signature) {
	const expected = crypto.createHmac('sha256', secret).update(body).digest();
	const claimed = Buffer.from(signature || '', 'hex');

	return claimed.length === expected.length && crypto.timingSafeEqual(claimed, expected);
}

async function write(pool, body) {
	const event = JSON.parse(body);
	const order = event.data;
	const client = await pool.connect();

	try {
		await client.query('begin');
		await client.query({ name: 'event', text: INSERT_EVENT, values: [
			crypto.createHash('sha256').update(body).digest(), order.orderId,
			event.event, event.timestamp, body.toString()] });
		await client.query({ name: 'order', text: UPSERT_ORDER, values: [
			order.orderId, order.status, order.customerData.email, order.cart.currency,
			order.cart.total, JSON.stringify(order.cart.items), order.createdAt,
			event.timestamp] });
		await client.query('commit');
	} catch (error) {
		await client.query('rollback');
		throw error;
	} finally {
		client.release();
	}
}

function plain(pool) {
	return async (request, reply) => {
		if (!isGenuine(request.body, request.headers['x-torque-signature'])) {
			return reply.code(401).send({ success: false });
		}
		await write(pool, request.body);
		return { success: true };
	};
}

async function stripeSync(pool) {
	const { StripeSync, runMigrations } = require('@supabase/stripe-sync-engine');

	await runMigrations({ databaseUrl: `postgres:///${database}?host=${directory}&user=postgres`,
		schema: 'stripe' });
	const sync = new StripeSync({ poolConfig: pool, stripeSecretKey: 'sk_test_nobody',
		stripeWebhookSecret: secret, backfillRelatedEntities: false });

	return async (request) => {
		await sync.processWebhook(request.body, request.headers['stripe-signature']);
		return { received: true };
	};
}

async function main() {
	const pool = { host: directory, database, user: 'postgres', max: POOL_MAX };
	const handler = kind === 'stripe' ? await stripeSync(pool) : plain(new pg.Pool(pool));
	const server = fastify();

	server.addContentTypeParser('application/json', { parseAs: 'buffer' },
		(request, body, done) => done(null, body));
	server.post('/webhooks/torque', handler);
	await server.listen({ host: '127.0.0.1', port: 0 });
	console.log(server.server.address().port);
}

main();
