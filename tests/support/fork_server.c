/* fork_server.c: servers that fork; fork_test.py runs them. Both answer a message with the
 * number of the process that got it.
 *
 *     fork_server before      binds, and forks two children, which serve the one socket
 *     fork_server callback    serves, and forks a child when it gets the message "fork"
 *
 * Lines on stdout: the port; "child N" for each child, and "ended N STATUS" with what
 * waitpid(2) says of it; and what the library's functions returned to a child of the
 * second kind. */
#include <websock/websock.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static void say(const char *text, long number)
{
    char line[80];
    int len = snprintf(line, sizeof line, "%s %ld\n", text, number);
    (void)!write(STDOUT_FILENO, line, (size_t)len); /* not stdio: its buffer would fork, too */
}

static void say_how_it_ended(pid_t child)
{
    char text[40];
    int status = -1;
    while (waitpid(child, &status, 0) == -1 && errno == EINTR) {
    }
    (void)snprintf(text, sizeof text, "ended %ld", (long)child);
    say(text, status);
}

static void say_result(const char *function, int result)
{
    say(function, result == 0 ? 0 : errno);
}

/* Tries what a child may not do, and then waits to be ended. */
static void be_a_child(libwebsock_context *ctx)
{
    libwebsock_statistics stats;
    int pair[2];
    memset(&stats, 0, sizeof stats);
    stats.size = sizeof stats;
    say_result("stop", libwebsock_stop(ctx));
    say_result("wait", libwebsock_wait(ctx));
    say_result("bind", libwebsock_bind(ctx, "127.0.0.1", "0"));
    say_result("reload", libwebsock_reload_ssl(ctx));
    say_result("send_all", libwebsock_send_all_text(ctx, "from nobody"));
    say_result("publish", libwebsock_publish_text(ctx, "topic", "from nobody"));
    say_result("stats", libwebsock_stats(ctx, &stats));
    say_result("port", libwebsock_port(ctx));
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0) {
        say_result("bind_socket", libwebsock_bind_socket(ctx, pair[0]));
    }
    libwebsock_free(ctx);
    say("child", (long)getpid());
    for (;;) {
        (void)pause();
    }
}

static int onmessage(libwebsock_client_state *client, libwebsock_message *msg)
{
    char text[20];
    if (strcmp(msg->payload, "fork") == 0) {
        pid_t child = fork();
        if (child == 0) {
            be_a_child(client->ctx);
        }
        say_how_it_ended(child);
    }
    (void)snprintf(text, sizeof text, "%ld", (long)getpid());
    return libwebsock_send_text(client, text);
}

static int serve_by_children(libwebsock_context *ctx)
{
    pid_t children[2];
    for (int i = 0; i < 2; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            int failed = libwebsock_wait(ctx);
            libwebsock_free(ctx);
            _exit(failed ? 1 : 0);
        }
        say("child", (long)children[i]);
    }
    for (int i = 0; i < 2; i++) {
        say_how_it_ended(children[i]);
    }
    return 0;
}

int main(int argc, char **argv)
{
    libwebsock_context *ctx = libwebsock_init(NULL, NULL, 0);
    int failed = ctx == NULL || argc != 2 || libwebsock_bind(ctx, "127.0.0.1", "0");
    if (failed) {
        return 1;
    }
    ctx->onopen = NULL;
    ctx->onmessage = onmessage;
    ctx->onclose = NULL;
    say("127.0.0.1:", libwebsock_port(ctx));
    failed = strcmp(argv[1], "before") == 0 ? serve_by_children(ctx) : libwebsock_wait(ctx);
    libwebsock_free(ctx);
    return failed ? 2 : 0;
}
