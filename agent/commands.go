package agent

import (
	"stirwatch/agent/journal"
	"stirwatch/agent/record"
	bridge "stirwatch/firmware-bridge"
)

// CommandRecord keeps what the bridge decides in the journal. It is a [bridge.Recorder].
type CommandRecord struct{ Journal *journal.Journal }

// Record implements [bridge.Recorder].
func (c CommandRecord) Record(r bridge.Record) {
	reason := r.Why
	if reason != "" && r.Note != "" {
		reason += "; "
	}
	journal.Write(c.Journal, record.Command{Time: r.At.UnixNano(), Target: r.Target, Verdict: string(r.Verdict), Unit: r.Unit.String(),
		Asked: r.Asked, Given: r.Given, ReadBack: r.ReadBack, Who: r.Who, Reason: reason + r.Note})
}
