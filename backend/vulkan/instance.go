package vulkan

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unsafe"

	"github.com/ledge-run/ledge/backend/internal/dl"
	"github.com/ledge-run/ledge/backend/internal/owned"
)

// EnvValidate, if 1, has Khronos' validation layer look at every call. What it
// says is an error when the device is closed.
const EnvValidate = "LEDGE_VULKAN_VALIDATE"

const (
	version11 = 1<<22 | 1<<12
	version12 = 1<<22 | 2<<12
	version13 = 1<<22 | 3<<12

	layerValidation   = "VK_LAYER_KHRONOS_validation"
	extDebugUtils     = "VK_EXT_debug_utils"
	extPortabilityAll = "VK_KHR_portability_enumeration"
)

// instance is one connection to all the drivers there are.
type instance struct {
	lib    *library
	handle uintptr
	instanceFunctions
	messages  *messages // nil without validation
	messenger uint64
}

func newInstance() (*instance, error) {
	lib, err := openLibrary()
	if err != nil {
		return nil, err
	}
	version := uint32(0)
	if lib.EnumerateInstanceVersion != 0 {
		v := new(uint32)
		if err := lib.EnumerateInstanceVersion.call(v).err("asking for the version"); err != nil {
			return nil, err
		}
		version = *v
	}
	if version < version11 {
		return nil, fmt.Errorf("vulkan: %s is version 1.0, at least 1.1 is needed", lib.name)
	}
	var h held
	defer h.Unpin()
	info := &instanceCreateInfo{
		head:        head{sType: typeInstanceCreateInfo},
		application: hold(&h, applicationInfo{head: head{sType: typeApplicationInfo}, apiVersion: version13}),
	}
	var extensions, layers []string
	have, err := list("instance extensions", func(n *uint32, into *extensionProperties) result {
		return lib.EnumerateInstanceExtensionProperties.call(nil, n, into)
	})
	if err != nil {
		return nil, err
	}
	if named(have, extPortabilityAll) { // MoltenVK's devices are listed only then
		extensions = append(extensions, extPortabilityAll)
		info.flags = enumeratePortability
	}
	validate, err := owned.Switch(EnvValidate, false)
	if err != nil {
		return nil, err
	}
	if validate {
		if err := lib.canValidate(); err != nil {
			return nil, err
		}
		layers, extensions = append(layers, layerValidation), append(extensions, extDebugUtils)
	}
	info.layerCount, info.layers = uint32(len(layers)), holdNames(&h, layers)
	info.extensionCount, info.extensions = uint32(len(extensions)), holdNames(&h, extensions)
	i := &instance{lib: lib}
	if err := lib.CreateInstance.call(info, nil, &i.handle).err("making an instance"); err != nil {
		return nil, err
	}
	if i.handle == 0 {
		return nil, errors.New("vulkan: making an instance gave none")
	}
	address := func(name *byte) uintptr { return dl.Call(lib.address, i.handle, uintptr(unsafe.Pointer(name))) }
	if err := load(&i.instanceFunctions, address); err != nil {
		if i.DestroyInstance != 0 {
			i.DestroyInstance.call(i.handle, nil)
		}
		return nil, err
	}
	if validate {
		if err := i.listen(); err != nil {
			return nil, errors.Join(err, i.close())
		}
	}
	return i, nil
}

func (l *library) canValidate() error {
	layers, err := list("instance layers", func(n *uint32, into *layerProperties) result {
		return l.EnumerateInstanceLayerProperties.call(n, into)
	})
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(layers, func(p layerProperties) bool { return goString(p.name[:]) == layerValidation }) {
		return fmt.Errorf("vulkan: %s=1 needs %s (Debian: vulkan-validationlayers)", EnvValidate, layerValidation)
	}
	return nil
}

func named(all []extensionProperties, name string) bool {
	return slices.ContainsFunc(all, func(p extensionProperties) bool { return goString(p.name[:]) == name })
}

// devices lists the handles of the physical devices, in the loader's order.
func (i *instance) devices() ([]uintptr, error) {
	all, err := list("devices", func(n *uint32, into *uintptr) result {
		return i.EnumeratePhysicalDevices.call(i.handle, n, into)
	})
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(h uintptr) bool { return h == 0 }), nil
}

// close ends the connection. With validation, what the layer said is its error.
func (i *instance) close() error {
	if i.messenger != 0 {
		i.DestroyDebugUtilsMessengerEXT.call(i.handle, i.messenger, nil)
	}
	i.DestroyInstance.call(i.handle, nil)
	if i.messages == nil {
		return nil
	}
	if all := i.messages.end(); len(all) > 0 {
		return fmt.Errorf("vulkan: the validation layer says: %s", strings.Join(all, "\n"))
	}
	return nil
}
