// A second reader of HTTP, written by other people: node's. For each connection that has closed it
// prints one line of JSON: for each request it saw whole [method, path, length, sum], the last two of the
// body (FNV-1a). What it answers does not matter: it may drop an answer when a later request is malformed.
'use strict';
const http = require('http');

function sumOf(body) {
	let sum = 2166136261;
	for (const byte of body)
		sum = Math.imul(sum ^ byte, 16777619) >>> 0;
	return sum;
}

function pathOf(url) {
	const absolute = /^https?:\/\/[^/?]+/i.exec(url);
	return url.slice(absolute ? absolute[0].length : 0).split('?')[0];
}

function take(request, response) {
	const socket = request.socket;
	const pieces = [];
	request.on('data', (piece) => pieces.push(piece));
	request.on('end', () => {
		const body = Buffer.concat(pieces);
		socket.seen.push([request.method, pathOf(request.url), body.length, sumOf(body)]);
		response.end();
	});
}

const server = http.createServer({ insecureHTTPParser: false }, take);
server.on('checkExpectation', take); // an expectation may be ignored, and is by us
server.on('connection', (socket) => {
	socket.seen = [];
	socket.on('close', () => console.log(JSON.stringify(socket.seen)));
});
server.on('clientError', (error, socket) => socket.destroy());
server.listen(0, '127.0.0.1', () => {
	console.log(JSON.stringify([server.address().port, http.METHODS]));
});
process.stdin.on('end', () => process.exit(0)).resume();
