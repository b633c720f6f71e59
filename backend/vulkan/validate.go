package vulkan

import (
	"errors"
	"sync"

	"github.com/ledge-run/ledge/backend/internal/dl"
)

// messages collects what the validation layer says of one instance.
type messages struct {
	mu  sync.Mutex
	all []string
	id  uintptr
}

// Instances that listen, by the number that C gives back. A process has one
// callback for all of them: callbacks are never freed.
var (
	listenersMu sync.Mutex
	listeners   = map[uintptr]*messages{}
	listenerID  uintptr
	callback    = sync.OnceValue(func() uintptr { return dl.Callback(onMessage) })
)

const maxMessages = 100

func onMessage(severity, kinds uintptr, data *messengerData, id uintptr) uintptr {
	listenersMu.Lock()
	m := listeners[id]
	listenersMu.Unlock()
	if m == nil || data == nil {
		return 0
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.all) < maxMessages {
		m.all = append(m.all, textAt(data.message, 4096))
	}
	return 0
}

// listen asks for warnings and errors.
func (i *instance) listen() error {
	if i.CreateDebugUtilsMessengerEXT == 0 || i.DestroyDebugUtilsMessengerEXT == 0 {
		return errors.New("vulkan: " + EnvValidate + "=1 needs " + extDebugUtils)
	}
	m := &messages{}
	listenersMu.Lock()
	listenerID++
	m.id = listenerID
	listeners[m.id] = m
	listenersMu.Unlock()
	i.messages = m
	info := &messengerCreateInfo{
		head:     head{sType: typeMessengerCreateInfo},
		severity: messageWarning | messageError,
		types:    messageValidation,
		callback: callback(),
		userData: m.id,
	}
	return i.CreateDebugUtilsMessengerEXT.call(i.handle, info, nil, &i.messenger).err("listening to the validation layer")
}

// end stops collecting and gives what was collected.
func (m *messages) end() []string {
	listenersMu.Lock()
	delete(listeners, m.id)
	listenersMu.Unlock()
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.all
}
