// Package loopback has an MQTT broker inside the program, reachable from this machine alone, for a machine that is simulated there.
package loopback

import (
	"errors"
	"fmt"
	"log/slog"
	"net"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"
)

// everyone lets every client of the broker, which listens on loopback, do everything.
type everyone struct{ mochi.HookBase }

// ID implements mochi.Hook.
func (*everyone) ID() string { return "everyone" }

// Provides implements mochi.Hook.
func (*everyone) Provides(b byte) bool {
	return b == mochi.OnConnectAuthenticate || b == mochi.OnACLCheck
}

// OnConnectAuthenticate implements mochi.Hook.
func (*everyone) OnConnectAuthenticate(*mochi.Client, packets.Packet) bool { return true }

// OnACLCheck implements mochi.Hook.
func (*everyone) OnACLCheck(*mochi.Client, string, bool) bool { return true }

// Broker starts an MQTT broker on a free loopback port and gives its address, host:port. Close ends it.
func Broker() (*mochi.Server, string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, "", err
	}
	s := mochi.New(&mochi.Options{InlineClient: false, Logger: slog.New(slog.DiscardHandler)})
	err = errors.Join(s.AddHook(new(everyone), nil), s.AddListener(listeners.NewNet("loopback", l)), s.Serve())
	if err != nil {
		l.Close()
		return nil, "", fmt.Errorf("the MQTT broker inside the program: %w", err)
	}
	return s, l.Addr().String(), nil
}
