/* session.c: a calculator that asks for what it needs, in the blocking style. What the client has
 * said is in local variables, and what comes next is the next line: no states, no client->data.
 *
 *     session [port]     default 1234, 0 for any free one */
#include <websock/websock.h>

#include <stdio.h>
#include <stdlib.h>

#define MINUTE_MS 60000

/* The answer, until the next question. NULL: the client has left, or is silent. */
static const char *ask(libwebsock_client_state *client, const char *question)
{
    libwebsock_message msg;
    (void)libwebsock_send_text(client, question); /* if that fails, nothing will come, either */
    return libwebsock_receive(client, &msg, MINUTE_MS) == 1 ? msg.payload : NULL;
}

/* Asks until the answer is a number. 0: there is no answer. */
static int ask_number(libwebsock_client_state *client, const char *question, double *number)
{
    char *end = NULL;
    const char *answer = ask(client, question);
    while (answer != NULL && (*number = strtod(answer, &end), end == answer)) {
        answer = ask(client, "That is no number. Once more?");
    }
    return answer != NULL;
}

/* When this returns, the connection is closed with 1000. */
static int session(libwebsock_client_state *client)
{
    double sum = 0, number = 0;
    char text[60] = "Hello. + or -, or something else to end?";
    const char *sign = ask(client, text);
    while (sign != NULL && (*sign == '+' || *sign == '-')) {
        int minus = *sign == '-'; /* the next question overwrites the answer */
        if (!ask_number(client, "A number?", &number)) {
            return 0;
        }
        sum += minus ? -number : number;
        (void)snprintf(text, sizeof text, "That makes %g. + or -?", sum);
        sign = ask(client, text);
    }
    return libwebsock_send_text(client, "Goodbye.");
}

int main(int argc, char **argv)
{
    libwebsock_context *ctx = libwebsock_init(NULL, NULL, 1000); /* longest line, bytes */
    if (ctx == NULL || libwebsock_bind(ctx, "127.0.0.1", argc > 1 ? argv[1] : "1234") != 0) {
        return 1;
    }
    ctx->onsession = session;
    printf("session: ws://127.0.0.1:%d/\n", libwebsock_port(ctx));
    (void)fflush(stdout);
    return libwebsock_wait(ctx) != 0; /* until SIGINT or SIGTERM */
}
