// gorilla.go: Go's net/http with gorilla/websocket in the benchmark: one goroutine a connection.
// gorilla WORK [KEY CERTIFICATE], where WORK is echo, fanout or block=MILLISECONDS, as for the
// others (see ../work.h); given the files of a key and a certificate it speaks TLS. GOMAXPROCS is
// left at Go's default, the processors that the process may use. Go itself turns Nagle's
// algorithm off and raises its limit of open files. Serves until SIGTERM, whose default action is
// to end it. gorilla does not check that text is UTF-8, and nor does this.
package main

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

const mostMessageBytes = 16 << 20

// The buffers of net/http, 4 KiB each way, serve the connection from then on.
var upgrader = websocket.Upgrader{}

// open answers a client's request with the 101.
type open func() (*websocket.Conn, error)

// read reuses one buffer, which ReadMessage does not.
func read(conn *websocket.Conn, into *bytes.Buffer) (int, error) {
	kind, message, err := conn.NextReader()
	if err != nil {
		return 0, err
	}
	into.Reset()
	_, err = into.ReadFrom(message)
	return kind, err
}

func serveEcho(open open, blocks time.Duration) {
	conn, err := open()
	if err != nil {
		return // it has been answered
	}
	defer conn.Close()
	var message bytes.Buffer
	for {
		kind, err := read(conn, &message)
		if err != nil {
			return
		}
		if blocks > 0 {
			time.Sleep(blocks)
		}
		if conn.WriteMessage(kind, message.Bytes()) != nil {
			return
		}
	}
}

// Each member's lock keeps the messages of several senders apart.
type member struct {
	conn *websocket.Conn
	lock sync.Mutex
}

// A failed write is seen by the member's own goroutine, too.
func (to *member) send(message *websocket.PreparedMessage) {
	to.lock.Lock()
	defer to.lock.Unlock()
	_ = to.conn.WritePreparedMessage(message)
}

// Senders hold the lock shared, so that no member disappears meanwhile. They write themselves: a
// channel and a goroutine for each member, which keep a slow one from holding up the rest, take
// some 10 % longer for 500 members.
type room struct {
	lock    sync.RWMutex
	members map[*member]struct{}
}

// join returns nil for a client that cannot be one. Whoever has the 101 is to get every message
// from then on, so it is sent under the lock.
func (in *room) join(open open) *member {
	in.lock.Lock()
	defer in.lock.Unlock()
	conn, err := open()
	if err != nil {
		return nil
	}
	self := &member{conn: conn}
	in.members[self] = struct{}{}
	return self
}

func (in *room) leave(one *member) {
	in.lock.Lock()
	defer in.lock.Unlock()
	delete(in.members, one)
}

func (in *room) sendAll(message *websocket.PreparedMessage) {
	in.lock.RLock()
	defer in.lock.RUnlock()
	for to := range in.members {
		to.send(message)
	}
}

func (in *room) serve(open open) {
	self := in.join(open)
	if self == nil {
		return
	}
	defer self.conn.Close()
	defer in.leave(self)
	var message bytes.Buffer
	for {
		kind, err := read(self.conn, &message)
		if err != nil {
			return
		}
		prepared, err := websocket.NewPreparedMessage(kind, message.Bytes()) // a copy
		if err != nil {
			return
		}
		in.sendAll(prepared)
	}
}

func serverOf(work string) func(open) {
	if work == "fanout" {
		return (&room{members: make(map[*member]struct{})}).serve
	}
	blocks := 0
	if strings.HasPrefix(work, "block=") {
		blocks, _ = strconv.Atoi(work[len("block="):])
	}
	if work != "echo" && blocks <= 0 {
		fmt.Fprintf(os.Stderr, "usage: %s echo|fanout|block=MILLISECONDS [KEY CERTIFICATE]\n", os.Args[0])
		os.Exit(2)
	}
	return func(open open) { serveEcho(open, time.Duration(blocks)*time.Millisecond) }
}

func main() {
	work := ""
	if len(os.Args) > 1 {
		work = os.Args[1]
	}
	serve := serverOf(work)
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	web := http.Server{
		Handler: http.HandlerFunc(func(answer http.ResponseWriter, request *http.Request) {
			serve(func() (*websocket.Conn, error) {
				conn, err := upgrader.Upgrade(answer, request, nil)
				if err == nil {
					conn.SetReadLimit(mostMessageBytes)
				}
				return conn, err
			})
		}),
		TLSConfig: &tls.Config{MinVersion: tls.VersionTLS13},
		ErrorLog:  log.New(io.Discard, "", 0), // handshakes that a client breaks off
	}
	fmt.Printf("port %d\n", listener.Addr().(*net.TCPAddr).Port)
	if len(os.Args) > 3 {
		log.Fatal(web.ServeTLS(listener, os.Args[3], os.Args[2]))
	}
	log.Fatal(web.Serve(listener))
}
