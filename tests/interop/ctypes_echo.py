#!/usr/bin/python3
# An echo server in Python on a shared object that contains libwebsock.a: the smallest possible
# binding. Run by install_test.py: ctypes_echo.py LIBRARY PORT.
import ctypes
import sys

LIBRARY, PORT = sys.argv[1:]


class Message(ctypes.Structure):
    _fields_ = [("opcode", ctypes.c_uint), ("len", ctypes.c_ulonglong),
                ("payload", ctypes.POINTER(ctypes.c_char))]


class CloseInfo(ctypes.Structure):
    _fields_ = [("code", ctypes.c_ushort), ("reason", ctypes.c_char * 124)]


OnClient = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)
OnMessage = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.POINTER(Message))


class Context(ctypes.Structure):  # only the fields used here
    _fields_ = [("user_data", ctypes.c_void_p), ("onopen", OnClient), ("onmessage", OnMessage),
                ("onclose", OnClient)]


class Client(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("callbacks", ctypes.c_void_p * 6),
                ("sockfd", ctypes.c_int), ("sa", ctypes.c_void_p), ("ctx", ctypes.c_void_p),
                ("close_info", ctypes.POINTER(CloseInfo))]


websock = ctypes.CDLL(LIBRARY)
websock.libwebsock_init.restype = ctypes.POINTER(Context)
websock.libwebsock_init.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t]
websock.libwebsock_send_text_with_length.argtypes = [ctypes.c_void_p, ctypes.c_void_p,
                                                     ctypes.c_size_t]


@OnMessage
def on_message(client, message):
    return websock.libwebsock_send_text_with_length(client, message.contents.payload,
                                                    message.contents.len)


@OnClient
def on_close(client):
    info = ctypes.cast(client, ctypes.POINTER(Client)).contents.close_info
    print(f"closed, {info.contents.code}", flush=True)
    return 0


context = websock.libwebsock_init(None, None, 0)
context.contents.onmessage = on_message
context.contents.onclose = on_close
if websock.libwebsock_bind(context, b"127.0.0.1", PORT.encode()) != 0:
    sys.exit(1)
print(f"ws://127.0.0.1:{websock.libwebsock_port(context)}/", flush=True)
status = websock.libwebsock_wait(context)  # until SIGTERM
websock.libwebsock_free(context)
sys.exit(0 if status == 0 else 1)
