// FerretDB for the tests of the store: the wire protocol of MongoDB on SQLite files. Its own
// command needs files that its Go module does not have.
//
//	kcs-ferretdb ADDRESS:PORT DIRECTORY
//
// Ends when its standard input does.
package main

import (
	"context"
	"io"
	"log"
	"log/slog"
	"os"

	"github.com/FerretDB/FerretDB/ferretdb"
)

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: kcs-ferretdb ADDRESS:PORT DIRECTORY")
	}
	db, err := ferretdb.New(&ferretdb.Config{
		Listener:  ferretdb.ListenerConfig{TCP: os.Args[1]},
		Logger:    slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
		Handler:   "sqlite",
		SQLiteURL: "file:" + os.Args[2] + "/",
	})
	if err != nil {
		log.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	if err := db.Run(ctx); err != nil {
		log.Fatal(err)
	}
}
