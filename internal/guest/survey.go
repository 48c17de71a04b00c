package guest

import (
	"context"
	"strings"
)

// Survey is what there is to log in with. The zero value is nothing.
type Survey struct {
	Keys   []string // labels of the keys that a login would offer, in its order
	Locked string   // the first key file that was left out for its passphrase; "" for none
	Agent  string   // why the agent cannot be used, for people; "" if it can, or there is none
	Notes  []string // why further keys are left out, for people
}

// Survey looks for keys as a login does, asks nobody and logs in nowhere.
func (i *Identities) Survey(ctx context.Context) Survey {
	var s Survey
	if i == nil {
		return s
	}
	agent := &offer{}
	i.listAgent(ctx, agent)
	s.Agent = strings.Join(agent.notes, "; ")
	o := i.offer(ctx)
	for _, k := range o.keys {
		s.Keys = append(s.Keys, k.label)
	}
	s.Locked = o.locked
	for _, note := range o.notes {
		if note != s.Agent {
			s.Notes = append(s.Notes, note)
		}
	}
	return s
}
