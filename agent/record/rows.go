// Package record defines what is recorded: one row type for each kind of record, with the name,
// unit and meaning of every tag and field. Rows are written as InfluxDB line protocol and read
// back from it; docs/influxdb.md is made from the same definitions.
package record

//go:generate go test -run TestPageIsCurrent -update .

// Measurement names one kind of record. Every line also carries the tag machine.
type Measurement string

// Measurements, in the order of the ladder.
const (
	Samples         Measurement = "samples"
	Estimates       Measurement = "estimates"
	Forecasts       Measurement = "forecasts"
	Attributions    Measurement = "attributions"
	Anomalies       Measurement = "anomalies"
	Alarms          Measurement = "alarms"
	Notifications   Measurement = "notifications"
	Programs        Measurement = "program"
	Recommendations Measurement = "recommendations"
	Commands        Measurement = "commands"
	Events          Measurement = "events"
	Health          Measurement = "health"
)

// Row is any of the row types. In their struct tags stand
//
//	stamp     what the time stamp is, ns since the Unix epoch
//	tag       name of a tag; ",optional": left out where empty, else every line has it
//	field     name of a field; ",optional": left out where zero or empty
//	unit      of a field: a unit, or whose unit it is
//	doc       meaning
//
// A float that is not finite is left out, since line protocol cannot carry it; read back, what was
// left out is NaN. Rows of one measurement are told apart by the tags that they must have.
type Row interface {
	Sample | Estimate | Innovation | Forecast | Attribution | ProgramEvent | Anomaly | Alarm | Notification | Recommendation | Command | Event | SourceHealth | UploadHealth | JournalHealth
}

// Sample is one reading of one channel.
type Sample struct {
	Time    int64   `stamp:"the stamp that rules for the source: the device's or the time of arrival"`
	Channel string  `tag:"channel" doc:"name as in agent.yaml"`
	Unit    string  `tag:"unit,optional" doc:"unit of the value"`
	Quality string  `tag:"quality,optional" doc:"only where the value is not good: failure, function_check, out_of_specification, maintenance_required or missing (NAMUR NE 107)"`
	Reason  string  `tag:"reason,optional" doc:"only with quality, where it is known: sentinel, unwired, out_of_range, rate_of_change, open_circuit, saturated, retained, wrong_unit, not_a_number, device, future_stamp (stamped too far ahead of its arrival; no model is fed with it)"`
	Value   float64 `field:"value" unit:"the channel's, see the tag unit" doc:"the reading, where it is a finite number"`
	Sent    string  `field:"sent,optional" doc:"in place of value, with the quality failure: what was sent where a number should be, its first 40 bytes, or NaN, +Inf, -Inf"`
}

// Estimate is what the filter believes of one state of the model.
type Estimate struct {
	Time  int64   `stamp:"the tick"`
	State string  `tag:"state" doc:"name of the state"`
	Value float64 `field:"value" unit:"the state's" doc:"estimate"`
	SD    float64 `field:"sd" unit:"the state's" doc:"its standard deviation"`
}

// Innovation is what a new measurement of one output says to the prediction.
type Innovation struct {
	Time         int64   `stamp:"the tick"`
	Output       string  `tag:"measurement" doc:"name of the model's output that was measured"`
	Innovation   float64 `field:"innovation" unit:"the output's" doc:"measured less predicted"`
	InnovationSD float64 `field:"innovation_sd" unit:"the output's" doc:"standard deviation of the innovation"`
	Ratio        float64 `field:"ratio" unit:"1" doc:"innovation² over gate²·variance; above 1 the measurement is rejected"`
	Rejected     bool    `field:"rejected" doc:"the measurement was not used"`
}

// Forecast is what the model expects of one of its outputs at one instant to come.
type Forecast struct {
	Time         int64   `stamp:"the instant that is forecast, so that a forecast lies over what is measured then"`
	State        string  `tag:"state" doc:"name of the model's output"`
	Horizon      string  `tag:"horizon" doc:"how far ahead it was made, e.g. 60s"`
	Value        float64 `field:"value" unit:"the output's" doc:"forecast"`
	SD           float64 `field:"sd" unit:"the output's" doc:"its standard deviation"`
	Lower        float64 `field:"lower" unit:"the output's" doc:"lower end of the 95 % interval under the condition"`
	Upper        float64 `field:"upper" unit:"the output's" doc:"upper end of the 95 % interval under the condition"`
	Condition    string  `field:"condition,optional" doc:"the condition of forecast and interval: if nothing stops, or as the program says; not there while the machine does not work"`
	Made         int64   `field:"made" unit:"ns" doc:"the tick that made it, since 1970"`
	By           string  `field:"by,optional" doc:"the expert on whom it rests most: plan, held, set-point or persistence"`
	Weight       float64 `field:"by_weight" unit:"1" doc:"share of that expert in the forecast"`
	RMSE         float64 `field:"by_rmse" unit:"the output's" doc:"what that expert has been off in this run and phase at this horizon; not there before a forecast has come due"`
	Stopped      float64 `field:"stopped" unit:"the output's" doc:"what is expected instead if the machine stops now; not there while it does not press on the build"`
	StoppedLower float64 `field:"stopped_lower" unit:"the output's" doc:"lower end of the 95 % interval of that"`
	StoppedUpper float64 `field:"stopped_upper" unit:"the output's" doc:"upper end of the 95 % interval of that"`
	Doubt        string  `field:"doubt,optional" doc:"what is known to make the forecast less sure than usual, for people"`
}

// Attribution splits a forecast or an innovation over the terms of the equation.
type Attribution struct {
	Time    int64   `stamp:"the tick"`
	Of      string  `tag:"of" doc:"forecast: the change to come, what each term does beyond what it did over the last minute; cause: the same change, by input; innovation: what the last measurement changed in the rate of change"`
	Horizon string  `tag:"horizon,optional" doc:"of a forecast, how far ahead: 30s"`
	Output  string  `tag:"output,optional" doc:"name of the model's output"`
	Total   float64 `field:"total" unit:"the output's; of an innovation, that per s" doc:"sum of the parts"`
	Parts   Parts   `field:"<part>" unit:"as total" doc:"part of the term of that name (heat, to build, thermocouple lag, as in the last minute), or of a cause the input (spindle power, settling)"`
}

// ProgramEvent is something that the machine's program will do next.
type ProgramEvent struct {
	Time  int64   `stamp:"the tick"`
	Event string  `tag:"event" doc:"layer, reload, feed, set-point, wait, retreat, build ends, spindle stops or program ends"`
	In    float64 `field:"in" unit:"s" doc:"how long until then; not there where a wait of unknown length comes before"`
	Value float64 `field:"value" unit:"1, mm/min or °C" doc:"number of the layer, the feed, the set-point (0 is off) or the temperature that is waited for"`
	Line  int64   `field:"line" unit:"1" doc:"line that runs at the tick"`
}

// Parts are fields whose names are not known beforehand. Names and values are of one length; they
// are kept by neither side longer than the call.
type Parts struct {
	Name  []string
	Value []float64
}

// Anomaly is a change of something that the estimate cannot explain.
type Anomaly struct {
	Time    int64   `stamp:"the tick at which the anomaly appeared or went"`
	Code    string  `tag:"code" doc:"kind of anomaly"`
	Channel string  `tag:"channel,optional" doc:"where it shows; not there where it belongs to no channel"`
	Source  string  `tag:"source,optional" doc:"of an anomaly about a source and all its channels, which the text names"`
	Active  bool    `field:"active" doc:"it stands"`
	Score   float64 `field:"score" unit:"1" doc:"the anomaly stands while the score is above the limit"`
	Limit   float64 `field:"limit" unit:"1" doc:"limit of the score"`
	Since   int64   `field:"since" unit:"ns" doc:"when it began, since 1970"`
	Text    string  `field:"text" doc:"for people"`
}

// Alarm is a step in the life of an alarm.
type Alarm struct {
	Time     int64  `stamp:"when it happened"`
	Code     string `tag:"code" doc:"kind of anomaly"`
	Subject  string `tag:"subject,optional" doc:"channel or source that it is about; not there where it belongs to none"`
	Event    string `field:"event" doc:"raise, return, explain, ack, reset, shelve, unshelve, suppress, unsuppress, remove, restore or new job"`
	State    string `field:"state" doc:"afterwards: normal, unacknowledged, acknowledged, returned, latched, latched acknowledged, shelved, suppressed or out of service (ISA-18.2)"`
	Was      string `field:"was" doc:"state before"`
	Active   bool   `field:"active" doc:"the condition holds"`
	Priority int64  `field:"priority" unit:"1" doc:"1 high, 2 medium, 3 low"`
	Raised   int64  `field:"raised,optional" unit:"ns" doc:"when it was raised last, since 1970; not there for one that was not"`
	Until    int64  `field:"until,optional" unit:"ns" doc:"end of the shelving, since 1970; only of a shelved one"`
	First    string `field:"first,optional" doc:"code and subject of the first of its group; only where that is another alarm"`
	Who      string `field:"who,optional" doc:"who did it; only of what people do"`
	Why      string `field:"why,optional" doc:"reason or comment; may be missing"`
	Text     string `field:"text" doc:"for people"`
}

// Notification is one attempt to tell people about alarms.
type Notification struct {
	Time    int64  `stamp:"end of the attempt"`
	Target  string `tag:"target" doc:"name as in agent.yaml"`
	Message string `field:"message" doc:"the message's own name, the same in every attempt"`
	Sent    bool   `field:"sent" doc:"it was taken"`
	Alarms  int64  `field:"alarms" unit:"1" doc:"alarms that it tells of"`
	Attempt int64  `field:"attempt" unit:"1" doc:"counted from 1"`
	Text    string `field:"text" doc:"what it says, or why it was not taken"`
}

// Recommendation is advice.
type Recommendation struct {
	Time      int64   `stamp:"the tick it rests on"`
	Kind      string  `tag:"kind" doc:"hold, change, pace, unreachable or none"`
	SetPoint  float64 `field:"set_point" unit:"°C" doc:"advised set-point, in °C whatever the channel's unit; not there without advice"`
	Predicted float64 `field:"predicted" unit:"°C" doc:"tool temperature expected at the longest horizon, with the inputs as they are"`
	Expires   int64   `field:"expires" unit:"ns" doc:"not to be followed after this, since 1970"`
	Reason    string  `field:"reason" doc:"for people"`
	Tick      int64   `field:"tick" unit:"1" doc:"number of the tick it rests on"`
	Model     string  `field:"model,optional" doc:"the model it rests on, with when it was learned"`

	With              float64 `field:"with" unit:"°C" doc:"tool temperature expected in 60 s if the advice is followed; this and what follows only where the model has a plan"`
	WithLower         float64 `field:"with_lower" unit:"°C" doc:"lower end of its 95 % interval"`
	WithUpper         float64 `field:"with_upper" unit:"°C" doc:"upper end"`
	WithSpeed         float64 `field:"with_speed" unit:"rpm" doc:"spindle speed expected in 60 s if the advice is followed"`
	WithSpeedLower    float64 `field:"with_speed_lower" unit:"rpm" doc:"lower end of its 95 % interval"`
	WithSpeedUpper    float64 `field:"with_speed_upper" unit:"rpm" doc:"upper end"`
	Without           float64 `field:"without" unit:"°C" doc:"tool temperature expected in 60 s as things are"`
	WithoutLower      float64 `field:"without_lower" unit:"°C" doc:"lower end of its 95 % interval"`
	WithoutUpper      float64 `field:"without_upper" unit:"°C" doc:"upper end"`
	WithoutSpeed      float64 `field:"without_speed" unit:"rpm" doc:"spindle speed expected in 60 s as things are"`
	WithoutSpeedLower float64 `field:"without_speed_lower" unit:"rpm" doc:"lower end of its 95 % interval"`
	WithoutSpeedUpper float64 `field:"without_speed_upper" unit:"rpm" doc:"upper end"`

	Pace float64 `field:"pace" unit:"%" doc:"advised feed and path velocity, both together, of what they are; only with the kind pace, and where it brings a set-point nearer that cannot be reached"`
}

// Command is one decision about what was asked of the machine.
type Command struct {
	Time     int64   `stamp:"the decision"`
	Target   string  `tag:"target" doc:"what is commanded"`
	Verdict  string  `tag:"verdict" doc:"accepted, clamped, refused, reached, failed, expired, released, yielded or reverted; proposed: a loop would command it and must not"`
	Unit     string  `tag:"unit,optional" doc:"unit of the three values"`
	Asked    float64 `field:"asked" unit:"the target's, see the tag unit" doc:"asked for"`
	Given    float64 `field:"given" unit:"the target's" doc:"passed on after the limits"`
	ReadBack float64 `field:"read_back" unit:"the target's" doc:"read from the machine"`
	Who      string  `field:"who" doc:"who asked"`
	Reason   string  `field:"reason" doc:"why, and what the bridge has to say"`
}

// Event is what happened to a source, or to the record itself.
type Event struct {
	Time   int64  `stamp:"when it happened"`
	Source string `tag:"source" doc:"name as in agent.yaml, journal, clock, program or tick; of a loop control and its name"`
	Kind   string `tag:"kind" doc:"connected, disconnected, gap, rejected, silent, resumed, detected, doubted, clock_step or control; of the journal gap, removed, filling or confirmed; of the tick still; of the model switched"`
	Count  int64  `field:"count,optional" unit:"1" doc:"messages (of a source) or lines (of the journal) concerned; not there where it cannot be known"`
	Text   string `field:"text" doc:"for people"`
}

// SourceHealth holds the counters of one source, totals since the agent's start.
type SourceHealth struct {
	Time       int64   `stamp:"when they were read"`
	Source     string  `tag:"source" doc:"name as in agent.yaml"`
	Connected  bool    `field:"connected" doc:"the device is open now"`
	Connects   int64   `field:"connects" unit:"1" doc:"times the device was opened"`
	Bytes      int64   `field:"bytes" unit:"1" doc:"bytes received"`
	Messages   int64   `field:"messages" unit:"1" doc:"lines, frames or payloads taken"`
	Samples    int64   `field:"samples" unit:"1" doc:"readings in them"`
	Rejected   int64   `field:"rejected" unit:"1" doc:"messages that could not be read"`
	Gaps       int64   `field:"gaps" unit:"1" doc:"jumps in the device's sequence"`
	Lost       int64   `field:"lost" unit:"1" doc:"messages missing in those gaps"`
	Duplicates int64   `field:"duplicates" unit:"1" doc:"redeliveries that were recognised"`
	Skew       float64 `field:"skew_s" unit:"s" doc:"arrival less device stamp of the last message that had one"`
}

// UploadHealth is about the upload to InfluxDB.
type UploadHealth struct {
	Time    int64  `stamp:"when it was read"`
	Source  string `tag:"source" doc:"influxdb"`
	Backlog int64  `field:"backlog" unit:"1" doc:"lines not yet acknowledged by the server"`
	Probe   int64  `field:"probe,optional" unit:"1" doc:"1: written when a server that refuses lines is asked whether it takes any"`
}

// JournalHealth is about the journal on the agent's own disk.
type JournalHealth struct {
	Time        int64   `stamp:"when it was read"`
	Source      string  `tag:"source" doc:"journal"`
	Size        int64   `field:"size" unit:"byte" doc:"the file, less what is free in it"`
	Most        int64   `field:"most" unit:"byte" doc:"size at which the oldest records go"`
	PerDay      int64   `field:"per_day,optional" unit:"byte" doc:"growth in a day of running, mean of the last; not there in the first hour"`
	FullIn      float64 `field:"full_in" unit:"d" doc:"until size is reached; 0: it is; not there where age keeps it below, and in the first hour"`
	Unconfirmed float64 `field:"unconfirmed" unit:"d" doc:"passed by the clock while no agent ran, and not counted as age until a person confirms the clock; not there where nothing waits for that"`
	Lost        int64   `field:"lines_lost" unit:"1" doc:"lines that the disk did not take, since the agent's start"`
	Unchanged   int64   `field:"unchanged" unit:"1" doc:"readings left out, being within their channel's dead band, since the agent's start"`
}

// JournalSource is the source of [JournalHealth].
const JournalSource = "journal"

// Kinds of events of the journal itself, besides gap.
const (
	Removed = "removed" // its oldest went by age or size
	Filling = "filling" // it will soon be full
	// Confirmed says that a person has confirmed the clock.
	Confirmed = "confirmed"
)

// Still is the kind of the event that the tick stands still, of the source tick.
const (
	TickSource = "tick"
	Still      = "still"
)

// Switched is the kind of the event that another model is used, of the source model.
const (
	ModelSource = "model"
	Switched    = "switched"
)

// InfluxDB is the source of [UploadHealth].
const InfluxDB = "influxdb"

// tables hold all row types, those of one measurement together.
var tables = []*table{
	define[Sample](Samples, "every reading of every channel"),
	define[Estimate](Estimates, "what the filter believes"),
	define[Innovation](Estimates, "what new measurements say to it"),
	define[Forecast](Forecasts, "what the model expects"),
	define[Attribution](Attributions, "why: a forecast and an innovation, split over the terms of the equation"),
	define[ProgramEvent](Programs, "what the machine's program will do next"),
	define[Anomaly](Anomalies, "what the estimate cannot explain"),
	define[Alarm](Alarms, "the life of alarms"),
	define[Notification](Notifications, "what people were told"),
	define[Recommendation](Recommendations, "advice"),
	define[Command](Commands, "what was asked of the machine"),
	define[Event](Events, "what happened to a source, or to the record itself"),
	define[SourceHealth](Health, "counters of a source, totals since the agent's start"),
	define[UploadHealth](Health, "the upload to InfluxDB"),
	define[JournalHealth](Health, "the journal on the agent's own disk"),
}
