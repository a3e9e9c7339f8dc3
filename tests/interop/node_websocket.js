// Sends messages of many lengths to an echo with the WebSocket that node itself has, one after the
// other, and prints as one line of JSON how they came back. Usage:
// node --experimental-websocket node_websocket.js URL
'use strict';

function messages() {
    const all = ['', 'grüße 🦆'];
    for (let length = 1; length <= 1 << 20; length *= 2) {
        const bytes = new Uint8Array(length).map((_, i) => (i * i) >> 3);
        all.push('price 1.0234 '.repeat(length).slice(0, length), bytes);
    }
    return all;
}

function isSame(sent, received) {
    if (typeof sent === 'string') {
        return sent === received;
    }
    return received instanceof ArrayBuffer && Buffer.compare(sent, new Uint8Array(received)) === 0;
}

const client = new WebSocket(process.argv[2]);
const all = messages();
const seen = { same: 0, different: [] };
client.binaryType = 'arraybuffer';
client.onopen = () => {
    seen.extensions = client.extensions;
    client.send(all[0]);
};
client.onmessage = ({ data }) => {
    const sent = all.shift();
    if (isSame(sent, data)) {
        seen.same++;
    } else {
        seen.different.push(sent.length);
    }
    if (all.length > 0) {
        client.send(all[0]);
        return;
    }
    console.log(JSON.stringify(seen));
    client.close();
};
client.onerror = (event) => {
    console.error(event.message, event.error);
    process.exit(1);
};
