// Sends and gets large messages with Node's "ws" for streams_test.py, and prints what it saw as one
// line of JSON. Usage: node node_streams.js URL SCENARIO [FILE], which has the authorities that
// wss: trusts
'use strict';

const { createHash } = require('node:crypto');
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
const huge = 64 << 20;

async function connect(path, options) {
    const client = new WebSocket(url + path, { ...trust, ...options });
    await once(client, 'open');
    return client;
}

// Resolves to the next message.
function message(client) {
    return new Promise((resolve, reject) => {
        client.once('message', (data, isBinary) => resolve({ data, isBinary }));
        client.once('close', (code) => reject(new Error(`closed with ${code}`)));
    });
}

const prices = 'price 1.0234 €, price 1.0235 €; ';

const scenarios = {
    // A message in a thousand fragments, which end inside characters, and one behind it.
    async fragments(perMessageDeflate) {
        const all = {};
        for (const path of ['session', 'session-parts', 'parts']) {
            const client = await connect(path, { perMessageDeflate });
            const bytes = Buffer.from(prices.repeat(30000));
            const size = Math.ceil(bytes.length / 1000);
            const answer = message(client);
            for (let at = 0; at < bytes.length; at += size) {
                client.send(bytes.subarray(at, at + size), { fin: false, binary: false });
            }
            client.send('', { fin: true });
            const { data, isBinary } = await answer;
            const next = message(client);
            client.send('behind it');
            all[path] = { same: data.equals(bytes), isBinary, compression: client.extensions,
                          next: (await next).data.toString() };
            client.terminate();
        }
        return all;
    },

    async hugeFrame() {
        const bytes = Buffer.alloc(huge, prices);
        const all = {};
        for (const path of ['session', 'session-parts', 'parts']) {
            const client = await connect(path, { perMessageDeflate: false });
            const answer = message(client);
            client.send(bytes);
            const { data, isBinary } = await answer;
            all[path] = { same: data.equals(bytes), isBinary };
            client.terminate();
        }
        return all;
    },

    async file(perMessageDeflate) {
        const client = await connect('file', { perMessageDeflate });
        const answer = message(client);
        client.send('the file, please');
        const { data } = await answer;
        const pong = once(client, 'pong');
        client.ping('still there?');
        await pong;
        client.terminate();
        return { length: data.length, hash: createHash('sha256').update(data).digest('hex') };
    },
};

async function main() {
    const [name, compressed] = scenario.split(' ');
    console.log(JSON.stringify(await scenarios[name](compressed === 'compressed')));
}

main().catch((error) => {
    console.error(error.stack);
    process.exit(1);
});
