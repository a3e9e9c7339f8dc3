// node_ws.js: Node's ws in the benchmark: node node_ws.js WORK, where WORK is echo, fanout
// or block=MILLISECONDS, as for the others (see ../work.h). ws itself turns Nagle's
// algorithm off, and Node raises its limit of open files.
'use strict';

function load_ws() {
    try {
        return require('ws');
    } catch {
        return require('/usr/share/nodejs/ws'); // where Debian puts it
    }
}

function usage() {
    console.error('usage: node_ws.js echo|fanout|block=MILLISECONDS');
    process.exit(2);
}

const { WebSocketServer } = load_ws();
const work = process.argv[2] || '';
if (!/^(echo|fanout|block=[1-9][0-9]*)$/.test(work))
    usage();

// ws's defaults: zlib's level (6) and memory level (8), windows of 15 bits, in libuv's threads.
function compression() {
    const level = Number(process.env.BENCH_COMPRESSION || 0);
    if (level > 0)
        return { zlibDeflateOptions: { level } };
    return 'BENCH_COMPRESSION' in process.env;
}

const server = new WebSocketServer({
    host: '127.0.0.1',
    port: 0,
    backlog: 4096,
    perMessageDeflate: compression(),
    maxPayload: 16 << 20,
    clientTracking: work === 'fanout', // only fan-out needs the list
});

function echo(client, data, binary) {
    client.send(data, { binary });
}

const block_ms = Number(work.split('=')[1] || 0);
const never = new Int32Array(new SharedArrayBuffer(4));

function block_and_echo(client, data, binary) {
    Atomics.wait(never, 0, 0, block_ms);
    echo(client, data, binary);
}

function fan_out(_, data, binary) {
    for (const client of server.clients)
        echo(client, data, binary);
}

const answer = work === 'fanout' ? fan_out : block_ms > 0 ? block_and_echo : echo;

server.on('connection', (client) => {
    client.on('message', (data, binary) => answer(client, data, binary));
    client.on('error', () => {}); // it is closed then, nothing else to do
});
server.on('listening', () => console.log(`port ${server.address().port}`));
