package journal

// Measurement names one kind of record.
type Measurement string

// What the record holds. Every line also carries the tag machine; docs/influxdb.md describes each.
const (
	Samples         Measurement = "samples"
	Estimates       Measurement = "estimates"
	Forecasts       Measurement = "forecasts"
	Attributions    Measurement = "attributions"
	Anomalies       Measurement = "anomalies"
	Alarms          Measurement = "alarms"
	Recommendations Measurement = "recommendations"
	Commands        Measurement = "commands"
	Events          Measurement = "events"
	Health          Measurement = "health"
)

// Table describes one measurement for people and for tests. Tags and fields hold pairs of name
// and meaning; a name in angle brackets stands for several.
type Table struct {
	Name   Measurement
	About  string
	Stamp  string // what the time stamp is
	Tags   [][2]string
	Fields [][2]string
}

// Schema lists every measurement: the one place that says what goes where.
var Schema = []Table{
	{Samples, "every reading of every channel", "the stamp that rules (device or arrival, as the source says)",
		[][2]string{{"channel", "name as in agent.yaml"}, {"unit", "unit of value"}, {"quality", "NE 107 signal; only when not good"}, {"reason", "why it is not good; only when known"}},
		[][2]string{{"value", "float, in the channel's unit"}}},
	{Estimates, "what the filter believes at a tick", "the tick",
		[][2]string{{"state", "name of the state or measurement"}},
		[][2]string{{"value", "float"}, {"sd", "standard deviation of value"}, {"innovation", "measured less predicted"}, {"innovation_sd", "standard deviation of the innovation"}, {"ratio", "innovation² over gate²·variance; above 1 it is rejected"}, {"rejected", "bool"}}},
	{Forecasts, "what the model expects", "the instant that is forecast",
		[][2]string{{"state", "name of the state"}, {"horizon", "how far ahead, e.g. 60s"}},
		[][2]string{{"value", "float"}, {"sd", "standard deviation of value"}, {"lower", "lower end of the 95 % interval"}, {"upper", "upper end of the 95 % interval"}, {"made", "integer, ns: the tick that made it"}}},
	{Attributions, "what a forecast and an innovation are made of: they are split over the terms of the equation, and the parts add up", "the tick",
		[][2]string{{"of", "forecast: the change to come; innovation: what the last measurement changed in the rate of change"}, {"horizon", "of a forecast, how far ahead"}},
		[][2]string{{"total", "float, in the unit of the state; of an innovation, per s"}, {"<term>", "float: the part of a term of the equation"}}},
	{Anomalies, "what the estimate cannot explain", "the tick of the change",
		[][2]string{{"code", "kind of anomaly"}, {"channel", "where it shows"}},
		[][2]string{{"score", "float"}, {"limit", "float; above it the anomaly stands"}, {"active", "bool"}, {"since", "integer, ns: when it began"}, {"text", "for people"}}},
	{Alarms, "life cycle of alarms", "the change of state",
		[][2]string{{"code", "kind of alarm"}, {"state", "of its life cycle"}},
		[][2]string{{"active", "bool"}, {"priority", "integer"}, {"who", "operator, if one acted"}, {"text", "for people"}}},
	{Recommendations, "advice", "the tick it rests on",
		[][2]string{{"kind", "hold, change, unreachable or none"}},
		[][2]string{{"set_point", "float, in the set-point channel's unit"}, {"predicted", "float: what it should lead to"}, {"expires", "integer, ns"}, {"reason", "for people"}}},
	{Commands, "what was asked of the machine", "the decision",
		[][2]string{{"target", "what is commanded"}, {"verdict", "accepted, clamped, refused, reached, failed, expired, released or reverted"}},
		[][2]string{{"asked", "float"}, {"given", "float: after limits"}, {"read_back", "float"}, {"who", "who asked"}, {"reason", "for people"}}},
	{Events, "what happened to a source or to the record itself", "when it happened",
		[][2]string{{"source", "name as in agent.yaml, or journal"}, {"kind", "connected, disconnected, gap, rejected, silent, resumed, detected, clock_step"}},
		[][2]string{{"count", "integer: messages or lines concerned"}, {"text", "for people"}}},
	{Health, "counters of a source, totals since start", "when they were read",
		[][2]string{{"source", "name as in agent.yaml, journal or influxdb"}},
		[][2]string{{"<counter>", "integer: received, samples, rejected, gaps, lost, duplicates, backlog"}, {"skew_s", "float: arrival less device stamp, s"}}},
}
