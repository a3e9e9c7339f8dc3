// Drives one scenario of node_ws_test.py with Node's "ws" and prints what it saw
// as one line of JSON; what it should have seen is in the test. Usage:
// node node_client.js URL SCENARIO [FILE], which has the authorities that wss: trusts
'use strict';

const { once } = require('node:events');
const { readFileSync } = require('node:fs');

function loadWs() {
    try {
        return require('ws');
    } catch {
        return require('/usr/share/nodejs/ws'); // where Debian puts it
    }
}

const WebSocket = loadWs();
const [url, scenario, authorities] = process.argv.slice(2);
const trust = authorities ? { ca: readFileSync(authorities) } : {};

// Resolves to the next count messages, each {data: Buffer, isBinary}.
function messages(client, count) {
    return new Promise((resolve, reject) => {
        const received = [];
        client.on('message', (data, isBinary) => {
            received.push({ data, isBinary });
            if (received.length === count) {
                resolve(received);
            }
        });
        client.on('close', (code) => reject(new Error(`closed with ${code}`)));
    });
}

async function echo(client, data) {
    const answers = messages(client, 1);
    client.send(data);
    const [answer] = await answers;
    return answer;
}

async function closed(client) {
    const [code, reason] = await once(client, 'close');
    return { code, reason: reason.toString() };
}

const scenarios = {
    async text(client) {
        const { data, isBinary } = await echo(client, 'grüße 🦆');
        return { text: data.toString(), isBinary };
    },

    async binary(client) {
        const { data, isBinary } = await echo(client, Buffer.from([...Array(256).keys()]));
        return { bytes: [...data], isBinary };
    },

    async empty(client) {
        const { data, isBinary } = await echo(client, '');
        return { length: data.length, isBinary };
    },

    async fragmented(client) {
        const answers = messages(client, 1);
        client.send('frag', { fin: false });
        client.send('men', { fin: false });
        client.send('ted', { fin: true });
        return { text: (await answers)[0].data.toString() };
    },

    async ping(client) {
        client.ping('are you there?');
        return { pong: (await once(client, 'pong'))[0].toString() };
    },

    async unsolicitedPong(client) {
        client.pong('nobody asked');
        return { text: (await echo(client, 'still here')).data.toString() };
    },

    async closeWithCode(client) {
        client.close(3000, 'because');
        return closed(client);
    },

    async closeWithoutCode(client) {
        client.close();
        return closed(client);
    },

    async large(client) {
        const sent = Buffer.alloc(16 << 20, 'websocket');
        const { data, isBinary } = await echo(client, sent);
        return { length: data.length, same: data.equals(sent), isBinary };
    },

    async pipelined(client) {
        const answers = messages(client, 10000);
        for (let i = 0; i < 10000; i++) {
            client.send(String(i));
        }
        const received = await answers;
        return {
            count: received.length,
            inOrder: received.every(({ data }, i) => data.toString() === String(i)),
        };
    },

    async compression(client, requestHeaders) {
        return {
            offered: requestHeaders['sec-websocket-extensions'] ?? '',
            negotiated: client.extensions,
        };
    },

    // Connections of its own, with all that the constructor lets a client ask for.
    async compressionOptions() {
        const all = [
            { serverNoContextTakeover: true },
            { clientNoContextTakeover: true },
            { serverNoContextTakeover: true, clientNoContextTakeover: true },
            { clientMaxWindowBits: true },
        ];
        for (let bits = 8; bits <= 15; bits++) {
            all.push({ serverMaxWindowBits: bits }, { clientMaxWindowBits: bits });
            all.push({ serverMaxWindowBits: bits, clientMaxWindowBits: bits,
                       serverNoContextTakeover: true });
        }
        return Promise.all(all.map(async (options) => {
            const client = new WebSocket(url, {
                ...trust, perMessageDeflate: { threshold: 0, ...options } });
            await once(client, 'open');
            const prices = 'price 1.0234, price 1.0235; '.repeat(300);
            const sent = [prices, prices.slice(100), '', 'x', Buffer.alloc(100000), prices];
            const answers = messages(client, sent.length);
            sent.forEach((data) => client.send(data));
            const received = await answers;
            client.terminate();
            return {
                options,
                negotiated: client.extensions,
                same: received.every(({ data }, i) => data.equals(Buffer.from(sent[i]))),
            };
        }));
    },
};

async function main() {
    const client = new WebSocket(url, trust);
    const requestHeaders = client._req.getHeaders();
    await once(client, 'open');
    const seen = await scenarios[scenario](client, requestHeaders);
    console.log(JSON.stringify(seen));
    client.terminate();
}

main().catch((error) => {
    console.error(error.stack);
    process.exit(1);
});
