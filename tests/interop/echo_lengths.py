# What a page does in a browser, whichever it is: it sends messages of many lengths to an echo.


def echo_lengths(url):
    """JavaScript, a promise: of what was negotiated, the places of the messages that came back
    otherwise than they went, how many came, and the code if the connection was closed."""
    return """new Promise((resolve) => {
    const socket = new WebSocket("%s");
    const different = [];
    const texts = [""];
    for (let length = 1; length <= 1 << 20; length *= 2) {
        const random = Array.from({length: 100}, () => 65 + Math.random() * 5000);
        texts.push("price 1.0234, ".repeat(length).slice(-length),
                   String.fromCharCode(...random).repeat(length).slice(0, length));
    }
    const bytes = texts.map((text) => new TextEncoder().encode(text));
    const all = [...texts, ...bytes];
    const same = (a, b) => typeof a === "string" ? a === b
        : a.length === b.byteLength && new Uint8Array(b).every((byte, i) => byte === a[i]);
    let next = 0;
    socket.binaryType = "arraybuffer";
    socket.onopen = () => all.forEach((message) => socket.send(message));
    socket.onmessage = ({data}) => {
        if (!same(all[next], data)) {
            different.push(next);
        }
        if (++next === all.length) {
            resolve([socket.extensions, different, next]);
        }
    };
    socket.onclose = ({code}) => resolve([socket.extensions, different, next, code]);
})""" % url
