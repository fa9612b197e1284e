package dashboard

import (
	"context"
	"encoding/hex"
	"fmt"
	"net/http"
	"unicode"
	"unicode/utf8"

	"stirwatch/agent/api"
	"stirwatch/agent/doctor"
	"stirwatch/sensors"
)

// This file answers requests of people who set a machine up: the messages of each source, the ports, and what doctor finds.

// Message is one message of a source as it came.
type Message struct {
	At    int64  `json:"at"` // arrival, ns since the Unix epoch
	Topic string `json:"topic,omitempty"`
	Text  string `json:"text"` // hexadecimal where it is no text; what looks like a secret is hidden
	Size  int    `json:"size"` // bytes of the whole, of which text may be the start
}

// answerMessages is GET /sources/{source}/messages: the last, the oldest first. They are kept while somebody asks.
func (s *Server) answerMessages(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("source")
	found, ok := s.Agent.Messages(name)
	if !ok {
		api.Fail(w, http.StatusNotFound, fmt.Errorf("there is no source %q", name))
		return
	}
	all := []Message{}
	for _, m := range found {
		all = append(all, messageOf(&m))
	}
	api.Write(w, all)
}

func messageOf(m *sensors.Message) Message {
	return Message{At: m.At, Topic: printable([]byte(m.About)), Text: sensors.HideSecrets(printable(m.Raw)), Size: m.Size}
}

// printable is b as text or, if it is not text, in hexadecimal. A text that was cut may end within a character.
func printable(b []byte) string {
	for cut := 0; cut < utf8.UTFMax && cut <= len(b); cut++ {
		if text := b[:len(b)-cut]; utf8.Valid(text) {
			for _, c := range string(text) {
				if !unicode.IsPrint(c) && c != '\t' {
					return hex.EncodeToString(b)
				}
			}
			return string(text)
		}
	}
	return hex.EncodeToString(b)
}

// Port is a serial port of the agent's computer. What is not known is "".
type Port struct {
	Path         string `json:"path"`
	ByID         string `json:"by_id,omitempty"` // link that stays when the port is renumbered
	Driver       string `json:"driver,omitempty"`
	USB          string `json:"usb,omitempty"` // vendor:product
	Serial       string `json:"serial,omitempty"`
	Manufacturer string `json:"manufacturer,omitempty"`
	Product      string `json:"product,omitempty"`
	Used         string `json:"used,omitempty"` // who of the configuration has it: the name of a source, or bridge
}

// answerPorts is GET /ports.
func (s *Server) answerPorts(w http.ResponseWriter, _ *http.Request) {
	all, err := s.Ports()
	if err != nil {
		api.Fail(w, http.StatusServiceUnavailable, err)
		return
	}
	api.Write(w, nonNil(all))
}

// answerDoctor is POST /doctor: it writes, into the journal's folder and into InfluxDB.
func (s *Server) answerDoctor(w http.ResponseWriter, r *http.Request) {
	done, err := turn(r.Context(), s.doctors)
	if err != nil {
		failed(w, err)
		return
	}
	defer done()
	ctx, cancel := context.WithTimeout(r.Context(), doctorWait)
	defer cancel()
	all := []doctor.Finding{}
	s.Doctor(ctx, func(f doctor.Finding) { all = append(all, f) })
	api.Write(w, all)
}
