package mqtt

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"

	"stirwatch/sensors"
	"stirwatch/sensors/wire"
)

// Topic says what the messages of a subscription are.
type Topic struct {
	Filter string // MQTT topic filter, with + and #
	QoS    byte   // 0 to 2; 1 suits, since a sample that comes twice is the same sample
	// Channel names the one channel of a message. {n} stands for the topic's level n, counted
	// from 1: "{3}_{4}" maps afsd/cell1/spindle/power to spindle_power. "" if a message carries
	// many channels.
	Channel string
	// Decoder makes the decoder for one concrete topic; id is the channel, 0 if Channel is "".
	// The decoder serves that topic only.
	Decoder func(id sensors.ChannelID) (wire.Decoder, error)
}

// Bounds on what topics make us remember; a broker's names are not ours to trust.
const (
	maxRoutes  = 4096
	maxUnknown = 1024
)

// subscription is a Topic at work.
type subscription struct {
	Topic
	levels  []string // of the filter, a shared one without its $share/group
	channel []piece
	last    atomic.Int64 // arrival of its last message
	silent  atomic.Bool
}

// piece of a channel template: a text, or a level of the topic if level > 0.
type piece struct {
	text  string
	level int
}

// route is a concrete topic: its decoder, or the reason why it has none.
type route struct {
	sub     *subscription // nil if no filter matches
	decoder wire.Decoder
	stamped wire.Stamped // decoder, if its messages carry a time
	doubter wire.Doubter // decoder, if it takes what is good of a message
	doubts  sensors.Doubts
	err     error // no message of the topic is of use
	told    bool  // err is on record
}

// router finds the route of each topic, made at the topic's first message. It serves one
// goroutine at a time.
type router struct {
	reg     *sensors.Registry
	subs    []*subscription
	routes  map[string]*route
	unknown map[string]*route
}

func newRouter(reg *sensors.Registry, topics []Topic) (*router, error) {
	r := &router{reg: reg, routes: map[string]*route{}, unknown: map[string]*route{}}
	seen := map[string]bool{}
	var errs []error
	for _, t := range topics {
		s := &subscription{Topic: t, levels: strings.Split(t.Filter, "/")}
		err := checkFilter(t.Filter)
		if err == nil && s.levels[0] == "$share" {
			s.levels = s.levels[2:]
		}
		switch {
		case err != nil:
		case seen[t.Filter]:
			err = errors.New("is subscribed twice")
		case t.QoS > 2:
			err = fmt.Errorf("QoS %d: use 0, 1 or 2", t.QoS)
		case t.Decoder == nil:
			err = errors.New("has no decoder")
		default:
			s.channel, err = parseTemplate(t.Channel)
		}
		if err == nil && len(s.channel) == 1 && s.channel[0].level == 0 {
			if _, ok := reg.Lookup(t.Channel); !ok {
				err = fmt.Errorf("channel %q is not declared", t.Channel)
			}
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("topic %q: %w", t.Filter, err))
		}
		seen[t.Filter] = true
		r.subs = append(r.subs, s)
	}
	if len(topics) == 0 {
		errs = append(errs, errors.New("no topics: give at least one"))
	}
	return r, errors.Join(errs...)
}

// find is the route of a topic. It allocates only at a topic's first message.
func (r *router) find(topic []byte) *route {
	if rt, ok := r.routes[string(topic)]; ok {
		return rt
	}
	if rt, ok := r.unknown[string(topic)]; ok {
		return rt
	}
	name := string(topic)
	rt := r.resolve(name)
	switch {
	case rt.err == nil:
		r.routes[name] = rt
	default:
		if len(r.unknown) >= maxUnknown {
			clear(r.unknown)
		}
		r.unknown[name] = rt
	}
	return rt
}

func (r *router) resolve(topic string) *route {
	levels := strings.Split(topic, "/")
	for _, s := range r.subs {
		if !matches(s.levels, levels) {
			continue
		}
		rt := &route{sub: s}
		if len(r.routes) >= maxRoutes {
			rt.err = fmt.Errorf("more than %d topics: narrow the filter %q", maxRoutes, s.Filter)
			return rt
		}
		var id sensors.ChannelID
		if len(s.channel) > 0 {
			name, err := expand(s.channel, levels)
			if err != nil {
				rt.err = err
				return rt
			}
			var ok bool
			if id, ok = r.reg.Lookup(name); !ok {
				rt.err = fmt.Errorf("channel %q is not declared", name)
				return rt
			}
		}
		rt.decoder, rt.err = s.Decoder(id)
		rt.stamped, _ = rt.decoder.(wire.Stamped)
		rt.doubter, _ = rt.decoder.(wire.Doubter)
		return rt
	}
	return &route{err: errors.New("no subscription is for this topic")}
}

// checkFilter applies MQTT 3.1.1, section 4.7.1.
func checkFilter(filter string) error {
	if filter == "" || len(filter) > 1<<16-1 {
		return fmt.Errorf("a filter has 1 to %d bytes", 1<<16-1)
	}
	if strings.ContainsRune(filter, 0) {
		return errors.New("a filter has no NUL")
	}
	levels := strings.Split(filter, "/")
	for i, l := range levels {
		switch {
		case strings.Contains(l, "#") && (l != "#" || i != len(levels)-1):
			return errors.New("# stands alone, as the last level")
		case strings.Contains(l, "+") && l != "+":
			return errors.New("+ stands alone in its level")
		}
	}
	if levels[0] == "$share" && (len(levels) < 3 || levels[1] == "") {
		return errors.New("a shared subscription is $share/group/filter")
	}
	return nil
}

// matches applies MQTT 3.1.1, section 4.7.1: + is any one level, a last # any number of them.
func matches(filter, topic []string) bool {
	for i, f := range filter {
		switch {
		case f == "#":
			return true
		case i >= len(topic) || f != "+" && f != topic[i]:
			return false
		}
	}
	return len(filter) == len(topic)
}

// parseTemplate splits "axis_{3}" into its pieces.
func parseTemplate(s string) ([]piece, error) {
	var pieces []piece
	for rest := s; rest != ""; {
		i := strings.IndexByte(rest, '{')
		if i < 0 {
			return append(pieces, piece{text: rest}), nil
		}
		if i > 0 {
			pieces = append(pieces, piece{text: rest[:i]})
		}
		end := strings.IndexByte(rest, '}')
		if end < i {
			return nil, fmt.Errorf("channel %q: { and } do not pair", s)
		}
		level, err := strconv.Atoi(rest[i+1 : end])
		if err != nil || level < 1 {
			return nil, fmt.Errorf("channel %q: {%s} is not a level of the topic; use {1}, {2}, …", s, rest[i+1:end])
		}
		pieces = append(pieces, piece{level: level})
		rest = rest[end+1:]
	}
	return pieces, nil
}

func expand(pieces []piece, levels []string) (string, error) {
	var b strings.Builder
	for _, p := range pieces {
		switch {
		case p.level == 0:
			b.WriteString(p.text)
		case p.level > len(levels):
			return "", fmt.Errorf("the channel needs level {%d} of a topic that has %d", p.level, len(levels))
		default:
			b.WriteString(levels[p.level-1])
		}
	}
	return b.String(), nil
}
