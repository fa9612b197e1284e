package anomaly

// Codes of what the multivariate watch finds in any set of channels (dynamics/watch): how they differ from the
// stretch that it was trained on.
const (
	SensorStuck     Code = "sensor.stuck"
	SensorNoise     Code = "sensor.noise"
	ProcessShift    Code = "process.shift"
	ProcessRelation Code = "process.relation"
	ProcessUnsteady Code = "process.unsteady"
	ProcessOutlier  Code = "process.outlier"
)

// processCodes are judged by score against limit, in amplitude; the watch has its own delays in rows.
var processCodes = []Definition{
	{Code: SensorStuck, About: AboutChannel, Priority: Medium, Limit: 1, On: 0, Off: 1,
		Text:     "the value hardly moves any more",
		Cause:    "a frozen device or logger, an unplugged sensor whose last value is held, a blocked line",
		Response: "compare with a second reading; restart or replace the device", DependsOn: []Code{SourceMissing, SensorMissing}},
	{Code: SensorNoise, About: AboutChannel, Priority: Low, Limit: 1, On: 0, Off: 1,
		Text:     "the value is more restless than it was",
		Cause:    "a loose contact, electrical noise, vibration, cavitation, a bearing that begins to fail",
		Response: "fasten plug and shield; if other channels are restless too, look at the machine", DependsOn: []Code{SourceMissing, SensorMissing}},
	{Code: ProcessShift, About: AboutProcess, Priority: Medium, Limit: 1, On: 0, Off: 1,
		Text:     "the level of the channels is not that of the good stretch",
		Cause:    "another load, a valve, a leak, wear, another material or set-point",
		Response: "look first at the channels that contribute most; if the new state is meant, train on it"},
	{Code: ProcessRelation, About: AboutProcess, Priority: Medium, Limit: 1, On: 0, Off: 1,
		Text:     "the channels do not go together as in the good stretch",
		Cause:    "a sensor that drifts, slip, a leak, a part that is blocked or loose",
		Response: "compare the channels that contribute most with each other, then with a second reading"},
	{Code: ProcessUnsteady, About: AboutProcess, Priority: Low, Limit: 1, On: 0, Off: 1,
		Text:     "several channels are more or less restless than in the good stretch",
		Cause:    "imbalance, cavitation, a controller that oscillates, a fault of the supply",
		Response: "look at what moves those channels together: drive, supply, controller"},
	{Code: ProcessOutlier, About: AboutProcess, Priority: Low, Limit: 1, On: 0, Off: 1,
		Text:     "row after row is outside what the good stretch showed",
		Cause:    "dropouts of a logger, a loose contact, a shock to the machine",
		Response: "look at the channels that contribute most, then at logger and wires"},
}
