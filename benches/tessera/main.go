// Prints what a run needs: a log's private and public key, and an address that is free.
package main

import (
	"crypto/rand"
	"fmt"
	"log"
	"net"

	"golang.org/x/mod/sumdb/note"
)

func main() {
	secret, public, err := note.GenerateKey(rand.Reader, "tessera.example/log")
	if err != nil {
		log.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	defer listener.Close()
	fmt.Println(secret, public, listener.Addr())
}
