#!/usr/bin/python3
"""An echo with topics, in Python: libwebsock by ctypes alone, as a proof that any language can.

    make shared
    python3 demo/python/echo.py [port]     default 1234, 0 for any free one
    python3 -m websockets ws://127.0.0.1:1234/

"/join TOPIC" and "/leave TOPIC" subscribe and unsubscribe, "/say TOPIC TEXT" publishes, and
everything else comes back. This is no binding: only what it uses is declared, by hand. Structs
that the library allocates grow at their end, so their first fields are enough; callbacks run on
the library's threads, one at a time, as Python's lock lets only one run. What a callback raises
is printed by ctypes and goes no further.
"""
import ctypes
import pathlib
import signal
import sys

LIBRARY = pathlib.Path(__file__).resolve().parents[2] / "build" / "libwebsock.so"
TEXT, NOT_ALLOWED = 0x1, 1003  # WS_OPCODE_TEXT, WS_CLOSE_NOT_ALLOWED


class Message(ctypes.Structure):
    _fields_ = [("opcode", ctypes.c_uint), ("payload_len", ctypes.c_ulonglong),
                ("payload", ctypes.POINTER(ctypes.c_char))]


Client = ctypes.c_void_p  # a libwebsock_client_state *
OnClient = ctypes.CFUNCTYPE(ctypes.c_int, Client)
OnMessage = ctypes.CFUNCTYPE(ctypes.c_int, Client, ctypes.POINTER(Message))


class Context(ctypes.Structure):
    _fields_ = [("user_data", ctypes.c_void_p), ("onopen", OnClient), ("onmessage", OnMessage),
                ("onclose", OnClient)]


def function(name, result, *arguments):
    """One of websock.h. An int result of -1 is raised as an OSError."""
    found = getattr(library, name)
    found.restype, found.argtypes = result, arguments
    if result is ctypes.c_int:
        found.errcheck = check
    return found


def check(result, found, _arguments):
    if result == -1:
        raise OSError(ctypes.get_errno(), found.__name__)
    return result


library = ctypes.CDLL(str(LIBRARY), use_errno=True)
context_p = ctypes.POINTER(Context)
init = function("libwebsock_init", context_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)
bind = function("libwebsock_bind", ctypes.c_int, context_p, ctypes.c_char_p, ctypes.c_char_p)
port = function("libwebsock_port", ctypes.c_int, context_p)
wait = function("libwebsock_wait", ctypes.c_int, context_p)
free = function("libwebsock_free", None, context_p)
send = function("libwebsock_send_text_with_length", ctypes.c_int, Client, ctypes.c_char_p,
                ctypes.c_size_t)
close = function("libwebsock_close_with_reason", ctypes.c_int, Client, ctypes.c_ushort,
                 ctypes.c_char_p)
subscribe = function("libwebsock_subscribe", ctypes.c_int, Client, ctypes.c_char_p,
                     ctypes.c_void_p)
unsubscribe = function("libwebsock_unsubscribe", ctypes.c_int, Client, ctypes.c_char_p)
publish = function("libwebsock_publish_text", ctypes.c_int, context_p, ctypes.c_char_p,
                   ctypes.c_char_p)


def answer(client, text):
    command, *rest = text.split(b" ", 2)
    if command == b"/join" and len(rest) == 1:
        subscribe(client, rest[0], None)
    elif command == b"/leave" and len(rest) == 1:
        unsubscribe(client, rest[0])
    elif command == b"/say" and len(rest) == 2:
        publish(context, *rest)
    else:
        send(client, text, len(text))


@OnMessage
def on_message(client, message):
    if message.contents.opcode != TEXT:
        return close(client, NOT_ALLOWED, b"text only")
    text = ctypes.string_at(message.contents.payload, message.contents.payload_len)
    try:
        answer(client, text)
    except OSError as error:
        refusal = str(error).encode()
        send(client, refusal, len(refusal))
    return 0


context = init(None, None, 0)
if not context:
    sys.exit("libwebsock_init failed")
context.contents.onmessage = on_message  # on_message must live as long as the context
context.contents.onopen = OnClient()  # NULL: the default ones print
context.contents.onclose = OnClient()
signal.signal(signal.SIGINT, signal.SIG_DFL)  # Python's would wait for libwebsock_wait to return
bind(context, b"127.0.0.1", (sys.argv[1] if len(sys.argv) > 1 else "1234").encode())
print(f"echo: ws://127.0.0.1:{port(context)}/", flush=True)
wait(context)  # until SIGINT or SIGTERM
free(context)
