package notify

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"stirwatch/agent/alarm"
	"stirwatch/agent/anomaly"
)

// Item is what is to be told of one alarm. Instants are ns since the Unix epoch.
type Item struct {
	alarm.Key
	Priority anomaly.Priority `json:"priority"`
	Text     string           `json:"text"`
	Response string           `json:"response"`
	At       int64            `json:"at"`              // raised, the first of Times
	Times    int              `json:"times"`           // that it was raised since it was last told
	Over     int64            `json:"over,omitempty"`  // when its condition was over, if it is
	Who      string           `json:"who,omitempty"`   // who has acknowledged it since
	Ended    bool             `json:"ended,omitempty"` // this tells of its end: it was told before
	Due      int64            `json:"due"`
}

// line is an item for people: short, with what to do.
func (it *Item) line() string {
	at := time.Unix(0, it.At).Format("15:04:05")
	if it.Ended {
		return fmt.Sprintf("over at %s: %s", time.Unix(0, it.Over).Format("15:04:05"), it.Text)
	}
	s := fmt.Sprintf("%s, %s: %s", strings.ToUpper(it.Priority.String()), at, it.Text)
	var notes []string
	if it.Times > 1 {
		notes = append(notes, fmt.Sprintf("%d times", it.Times))
	}
	if it.Over > 0 {
		notes = append(notes, fmt.Sprintf("over at %s", time.Unix(0, it.Over).Format("15:04:05")))
	}
	if it.Who != "" {
		notes = append(notes, "acknowledged by "+it.Who)
	}
	if len(notes) > 0 {
		s += " (" + strings.Join(notes, ", ") + ")"
	}
	if it.Over == 0 {
		s += ". Do: " + it.Response
	}
	return s
}

// Message is what goes to a target at once: one alarm, or a digest of several.
type Message struct {
	ID       string           `json:"id"` // the same in every attempt: what has come twice can be known
	Machine  string           `json:"machine"`
	Priority anomaly.Priority `json:"priority"` // the highest
	Title    string           `json:"title"`
	Text     string           `json:"text"`
	Items    []Item           `json:"alarms"`
}

// Quiet is a time of every day, in minutes since midnight, at which only what is urgent is told.
type Quiet struct {
	From, To int
	Priority anomaly.Priority // least urgent that is told anyway
}

// ends says when the quiet time that t lies in is over; zero if t lies in none.
func (q *Quiet) ends(t time.Time) time.Time {
	if q == nil {
		return time.Time{}
	}
	minute := t.Hour()*60 + t.Minute()
	in := q.From <= minute && minute < q.To
	if q.From > q.To {
		in = minute >= q.From || minute < q.To
	}
	if !in {
		return time.Time{}
	}
	end := time.Date(t.Year(), t.Month(), t.Day(), q.To/60, q.To%60, 0, 0, t.Location())
	if !end.After(t) {
		end = time.Date(t.Year(), t.Month(), t.Day()+1, q.To/60, q.To%60, 0, 0, t.Location())
	}
	return end
}

// Rules are when and of what a target is told.
type Rules struct {
	Priority anomaly.Priority // least urgent that is told; it must be given
	After    time.Duration    // only what nobody has acknowledged for so long
	Gather   time.Duration    // that what comes together is waited for
	Rate     int              // most messages in an hour; 0: any number
	Returns  bool             // tell also of the end of what was told
	Quiet    *Quiet           // nil: none
}

// queue is what one target has yet to be told. It survives a kill as JSON, and asks no clock.
type queue struct {
	rules   Rules
	machine string
	name    string

	Waiting  []Item           `json:"waiting,omitempty"`
	Sending  *Message         `json:"sending,omitempty"` // tried until it is taken
	Attempts int              `json:"attempts,omitempty"`
	First    int64            `json:"first,omitempty"` // of these attempts
	Retry    int64            `json:"retry,omitempty"` // the next one
	Sent     []int64          `json:"sent,omitempty"`  // messages of the last hour
	Told     map[string]int64 `json:"told,omitempty"`  // alarms that it was told of and that are not over; their raising
	Problem  string           `json:"problem,omitempty"`
	Last     int64            `json:"last,omitempty"` // the last message that was taken
}

const (
	firstRetry = time.Second
	mostRetry  = 5 * time.Minute
	rateSpan   = time.Hour
)

// step takes a step of an alarm at the instant now; false if it changes nothing.
func (q *queue) step(now int64, a alarm.Alarm, e alarm.Event, was alarm.State) (changed bool) {
	if a.Priority > q.rules.Priority {
		return false
	}
	key := a.Key.String()
	i := slices.IndexFunc(q.Waiting, func(it Item) bool { return it.Key == a.Key && !it.Ended })
	switch raised := a.State == alarm.Unacknowledged && was != alarm.Unacknowledged; {
	case raised && i >= 0:
		it := &q.Waiting[i]
		it.Times++
		it.Text, it.Response, it.Priority, it.Over, it.Who = a.Text, a.Response, a.Priority, 0, ""
		return true
	case raised:
		q.Waiting = append(q.Waiting, Item{Key: a.Key, Priority: a.Priority, Text: a.Text, Response: a.Response, At: a.Raised, Times: 1,
			Due: now + int64(max(q.rules.After, q.rules.Gather))})
		return true
	}
	if i >= 0 {
		it := &q.Waiting[i]
		switch {
		case q.rules.After > 0 && !a.State.Unseen(): // somebody has it: no escalation
			q.Waiting = slices.Delete(q.Waiting, i, i+1)
			return true
		case e == alarm.Ack || e == alarm.Shelve:
			it.Who, changed = a.Who, true
		}
		if !a.Active && it.Over == 0 {
			it.Over, changed = now, true
		}
	}
	if at, told := q.Told[key]; told && !a.Active {
		delete(q.Told, key)
		changed = true
		if q.rules.Returns && i < 0 {
			q.Waiting = append(q.Waiting, Item{Key: a.Key, Priority: a.Priority, Text: a.Text, At: at, Over: now, Times: 1, Ended: true, Due: now + int64(q.rules.Gather)})
		}
	}
	return changed
}

// due says when there is something to do next; false: nothing waits.
func (q *queue) due(now time.Time) (at time.Time, any bool) {
	if q.Sending != nil {
		return time.Unix(0, q.Retry), true
	}
	for i := range q.Waiting {
		if t := q.free(&q.Waiting[i], now); !any || t.Before(at) {
			at, any = t, true
		}
	}
	if any && q.rules.Rate > 0 && len(q.Sent) >= q.rules.Rate { // as many as may be: when the oldest of them is an hour old
		if t := time.Unix(0, q.Sent[len(q.Sent)-q.rules.Rate]).Add(rateSpan); t.After(at) {
			at = t
		}
	}
	return at, any
}

// free is when an item may be told: at its time, but not while it is quiet.
func (q *queue) free(it *Item, now time.Time) time.Time {
	t := time.Unix(0, it.Due).In(now.Location())
	if t.Before(now) {
		t = now
	}
	if q.rules.Quiet != nil && it.Priority > q.rules.Quiet.Priority {
		if end := q.rules.Quiet.ends(t); !end.IsZero() {
			return end
		}
	}
	return t
}

// compose makes a message of all that may be told now.
func (q *queue) compose(now time.Time) {
	var rest []Item
	m := &Message{ID: fmt.Sprintf("%s.%s.%d", q.machine, q.name, now.UnixNano()), Machine: q.machine, Priority: anomaly.Low}
	for i := range q.Waiting {
		it := q.Waiting[i]
		if q.free(&it, now).After(now) {
			rest = append(rest, it)
			continue
		}
		m.Items = append(m.Items, it)
		m.Priority = min(m.Priority, it.Priority)
		if !it.Ended && it.Over == 0 {
			if q.Told == nil {
				q.Told = make(map[string]int64)
			}
			q.Told[it.Key.String()] = it.At
		}
	}
	slices.SortStableFunc(m.Items, func(x, y Item) int { return int(x.Priority) - int(y.Priority) })
	m.word()
	q.Waiting, q.Sending, q.Attempts, q.First, q.Retry = rest, m, 0, now.UnixNano(), now.UnixNano()
}

// word writes title and text.
func (m *Message) word() {
	if len(m.Items) == 1 {
		it := &m.Items[0]
		m.Title = fmt.Sprintf("%s: %s", m.Machine, it.Text)
		m.Text = it.line()
		return
	}
	counts := map[string]int{}
	for i := range m.Items {
		if it := &m.Items[i]; it.Ended || it.Over > 0 {
			counts["over"]++
		} else {
			counts[it.Priority.String()]++
		}
	}
	var parts []string
	for _, word := range []string{"high", "medium", "low", "over"} {
		if n := counts[word]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, word))
		}
	}
	m.Title = fmt.Sprintf("%s: %d alarms, %s", m.Machine, len(m.Items), strings.Join(parts, ", "))
	lines := make([]string, len(m.Items))
	for i := range m.Items {
		lines[i] = m.Items[i].line()
	}
	m.Text = strings.Join(lines, "\n")
}

// took notes that the message was taken.
func (q *queue) took(now int64) {
	q.Sending, q.Attempts, q.Problem, q.Last = nil, 0, "", now
	keep := q.Sent[:0]
	for _, t := range q.Sent {
		if now-t < int64(rateSpan) {
			keep = append(keep, t)
		}
	}
	q.Sent = append(keep, now)
}

// failed notes that it was not taken: the pause doubles, to five minutes, or is what the other side asks for.
func (q *queue) failed(now int64, why error, jitter float64) {
	q.Attempts++
	pause := min(firstRetry<<min(q.Attempts-1, 20), mostRetry)
	pause += time.Duration(jitter * float64(pause) / 5)
	q.Problem = why.Error()
	if wait := asked(why); wait > pause {
		pause = wait
	}
	q.Retry = now + int64(pause)
}

// behind says what waits, once that is a matter for people: nothing was taken for a while.
func (q *queue) behind(now int64) string {
	if q.Sending == nil || q.Attempts < 3 || time.Duration(now-q.First) < failingAfter {
		return ""
	}
	n := len(q.Sending.Items) + len(q.Waiting)
	return fmt.Sprintf("%s: %d alarms wait, for %v: %s", q.name, n, time.Duration(now-q.First).Round(time.Minute), q.Problem)
}

// failingAfter is how long a message may be tried until that is an alarm itself.
const failingAfter = 2 * time.Minute
