// SPDX-License-Identifier: Apache-2.0

package main

import (
	"log/slog"
	"net/http"

	"github.com/gorilla/websocket"

	"github.com/l7mp/mc-wan/sandbox/apps/wire"
)

// webSocket greets and then sends every message back, until the client closes. The server does not wait for it when it
// ends: a WebSocket may live for days.
func (e *httpEcho) webSocket(w http.ResponseWriter, r *http.Request) {
	upgrader := websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}
	conn, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return // Upgrade has answered
	}
	defer func() { _ = conn.Close() }() // nothing is read from it any more
	if err := conn.WriteJSON(wire.Greeting{Pod: e.id.Pod, Cluster: e.id.Cluster}); err != nil {
		return
	}
	for {
		kind, message, err := conn.ReadMessage()
		if err == nil {
			err = conn.WriteMessage(kind, message)
		}
		if err != nil {
			slog.Debug("websocket over", "error", err)
			return
		}
	}
}
