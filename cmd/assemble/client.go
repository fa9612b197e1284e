package assemble

import (
	"stirwatch/agent"
	"stirwatch/agent/api"
	"stirwatch/config"
)

// Client reaches the agent that runs with a configuration.
func Client(conf *config.Config) agent.Client {
	return agent.Client{Client: api.NewClient(conf.Abs(conf.API.Socket))}
}
