"""The loaded modules, of which a script sees only those that it imports itself.

The server imports the plotting packages once, for all its forks. A script must find an interpreter
as if it had just been started. For example, without an import of ``seaborn`` its colour maps are
not registered, and without ``matplotlib.pyplot``, ``matplotlib.use`` tries no backend. Therefore
:class:`Shelf` records, while the packages are loaded, which other modules each module's execution
imported, and what it changed in the registries of others. Then all modules are put away: removed
from ``sys.modules`` and from the packages that hold them as attributes, with their changes undone.
An import by a script brings a module back with all of that, in the time it takes to set some names.

This module is loaded before anything else and imports nothing that a fresh interpreter lacks. It
relies on the functions of ``importlib._bootstrap`` that handle every import of a module that is not
in ``sys.modules``, including imports by C extensions.
"""

# Registries hold anything.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

REGISTRIES = (
    ("warnings", "filters"),
    ("sys", "meta_path"),
    ("sys", "path_hooks"),
    ("copyreg", "dispatch_table"),
    ("logging", "root.manager.loggerDict"),
    ("matplotlib", "rcParams"),
    ("matplotlib", "rcParamsDefault"),
    ("matplotlib", "rcParamsOrig"),
    ("matplotlib.backend_bases", "_default_backends"),
    ("matplotlib.cm", "_colormaps._cmaps"),
    ("matplotlib.units", "registry"),
    ("matplotlib.scale", "_scale_mapping"),
    ("matplotlib.projections", "projection_registry._all_projection_types"),
    ("PIL.Image", "ID"),
    ("PIL.Image", "OPEN"),
    ("PIL.Image", "MIME"),
    ("PIL.Image", "SAVE"),
    ("PIL.Image", "SAVE_ALL"),
    ("PIL.Image", "EXTENSION"),
    ("PIL.Image", "DECODERS"),
    ("PIL.Image", "ENCODERS"),
)
"""(module, attribute) of the dictionaries and lists that other modules add to when imported."""

SHARED_BY_CYTHON = ("cython_runtime", "_cython_")
"""What compiled modules leave in ``sys.modules`` for one another, without an import."""

BOOTSTRAP_FILE = "<frozen importlib._bootstrap>"
"""Python leaves frames of this name out of tracebacks and of the place a warning names."""


class LoadingModule:
    """A module that is being executed.

    Attributes:
        name: Its name; empty for what is imported from outside all modules.
        imports: What its execution has imported so far, in order.
        changes: (registry, what to do to it again) of its own execution.
    """

    def __init__(self, name: "str") -> None:
        self.name = name
        self.imports: list[str] = []
        self.changes: list[tuple[int, Change]] = []


class LoadedModule:
    """A module that has been executed.

    Attributes:
        module: What stands in ``sys.modules``.
        imports: What its execution imported, in order.
        needs: The same backwards, then the package that holds it: what a stack is to be given.
        changes: What its execution did to registries.
        owner: The package that it becomes an attribute of when it is handed out; ``None`` where
            it always is.
        attribute: Its name there.
    """

    def __init__(
        self,
        name: "str",
        module: "Any",
        imports: "Iterable[str]",
        changes: "list[tuple[int, Change]]",
    ) -> None:
        self.module = module
        self.imports = tuple(dict.fromkeys(imports))
        self.needs = (*reversed(self.imports), name.rpartition(".")[0])
        self.changes = changes
        self.owner: Any = None
        self.attribute = ""


class Change:
    """What happened to a dictionary or a list, so that it can happen again."""

    def __init__(self, before: "Any", after: "Any") -> None:
        if isinstance(after, dict):
            self.removals = [key for key in before if key not in after]
            self.additions: Any = {
                key: value
                for key, value in after.items()
                if key not in before or before[key] is not value
            }
        else:
            self.removals = [item for item in before if item not in after]
            self.additions = [item for item in after if item not in before]
        self.goes_first = not isinstance(after, dict) and after[-1:] == before[-1:]

    def apply(self, registry: "Any") -> None:
        """Do it to ``registry``."""
        if isinstance(registry, dict):
            for key in self.removals:
                dict.pop(registry, key, None)
            dict.update(registry, self.additions)
            return
        for item in (*self.removals, *self.additions):
            if item in registry:
                registry.remove(item)
        at = 0 if self.goes_first else len(registry)
        registry[at:at] = self.additions


class Shelf:
    """Modules that are loaded; those that nobody has imported yet cannot be seen.

    Args:
        fresh: Names in ``sys.modules`` when the interpreter had just been started.
    """

    def __init__(self, fresh: "Iterable[str]") -> None:
        self._bootstrap: Any = sys.modules["_frozen_importlib"]
        self._loader: Any = sys.modules["_frozen_importlib_external"].SourceLoader
        self._modules = sys.modules
        self._fresh = frozenset(fresh)
        self._entries: dict[str, LoadedModule] = {}
        self._stack = [LoadingModule("")]
        self._before: dict[int, Any] = {}
        self._base: dict[int, Any] = {}
        self._functions: dict[str, Any] = {}

    # ------------------------------------------------------------------------- recording

    def record(self) -> None:
        """From now on, note what every module imports and changes."""
        for name in set(self._modules) - self._fresh:
            self._entries[name] = LoadedModule(name, self._modules[name], (), [])
        self._look()
        replacements = {
            "_find_and_load": self._note_request,
            "_load_unlocked": self._note_loading,
            "_handle_fromlist": self._note_names,
            "_lock_unlock_module": self._note_circle,
        }
        for name, function in replacements.items():
            self._functions[name] = getattr(self._bootstrap, name)
            setattr(self._bootstrap, name, function)
        self._compile = self._loader.source_to_code
        self._loader.source_to_code = self._make_compile()

    def _note_request(self, name: "str", import_: "Any") -> "Any":
        """Stands for ``_find_and_load``: a module was asked for that cannot be seen."""
        self._stack[-1].imports.append(name)
        if name in self._entries and name not in self._modules:
            self._reveal(name)
            return self._modules[name]
        return self._functions["_find_and_load"](name, import_)

    def _make_compile(self) -> "Callable[..., Any]":
        """Stands for ``source_to_code``: what compiling imports is no import of the module's.

        Python loads ``unicodedata`` to compile a name that is not ASCII, and compiles a module
        only where its byte code is not there yet.
        """

        def compile_source(loader: "Any", *arguments: "Any", **options: "Any") -> "Any":
            visible_names = set(self._modules)
            self._stack.append(LoadingModule(""))
            try:
                return self._compile(loader, *arguments, **options)
            finally:
                self._stack.pop()
                for name in set(self._modules) - visible_names:
                    del self._modules[name]

        return compile_source

    def _note_circle(self, name: "str") -> None:
        """Stands for ``_lock_unlock_module``: a module was asked for that is being executed."""
        self._stack[-1].imports.append(name)
        self._functions["_lock_unlock_module"](name)

    def _note_names(self, module: "Any", names: "Any", import_: "Any", **options: "Any") -> "Any":
        """Stands for ``_handle_fromlist``: names were imported from a package."""
        result = self._functions["_handle_fromlist"](module, names, import_, **options)
        for name in names:
            full = f"{getattr(module, '__name__', '')}.{name}"
            entry = self._entries.get(full)
            if entry is not None and attributes_of(module).get(name) is entry.module:
                self._stack[-1].imports.append(full)
                self._reveal(full)
        return result

    def _note_loading(self, spec: "Any") -> "Any":
        """Stands for ``_load_unlocked``: execute a module that sees only what it imports."""
        loading = LoadingModule(spec.name)
        self._attribute_changes()
        snapshot = dict(self._modules)
        self._stack.append(loading)
        for name in self._entries.keys() & snapshot.keys():
            del self._modules[name]
        try:
            module = self._functions["_load_unlocked"](spec)
        except BaseException:
            self._attribute_changes()
            self._stack.pop()
            self._stack[-1].imports += loading.imports
            self._stack[-1].changes += loading.changes
            raise
        else:
            self._attribute_changes()
            self._stack.pop()
            self._keep(loading, snapshot)
            return module
        finally:
            for name, module in snapshot.items():
                self._modules.setdefault(name, module)

    def _keep(self, loading: "LoadingModule", snapshot: "dict[str, Any]") -> None:
        """The module has been executed; what it put beside itself comes and goes with it."""
        names_under_way = {loading.name, *(other.name for other in self._stack)}
        new_names = [
            name for name in self._modules if name not in self._entries and name not in snapshot
        ]
        for name in new_names:
            if name not in names_under_way and not name.startswith(SHARED_BY_CYTHON):
                self._entries[name] = LoadedModule(name, self._modules[name], (loading.name,), [])
                loading.imports.append(name)
        module = self._modules.get(loading.name)
        if module is not None:
            self._entries[loading.name] = LoadedModule(
                loading.name, module, loading.imports, loading.changes
            )

    def _reveal(self, name: "str") -> None:
        """Make a module and what it imports visible again, nothing more."""
        modules, entries = self._modules, self._entries
        pending = [name]
        while pending:
            module_name = pending.pop()
            if module_name not in modules and module_name in entries:
                entry = entries[module_name]
                modules[module_name] = entry.module
                pending += entry.needs

    def _list_loaded_with(self, name: "str") -> "set[str]":
        """A module and all that an import of it loads."""
        names: set[str] = set()
        pending = [name]
        while pending:
            module_name = pending.pop()
            entry = self._entries.get(module_name)
            if entry is not None and module_name not in names:
                names.add(module_name)
                pending += [needed for needed in entry.needs if needed not in names]
        return names

    # ------------------------------------------------------------------------ registries

    def _find_registry(self, number: "int") -> "Any":
        """A registry, ``None`` where its module is not loaded."""
        name, path = REGISTRIES[number]
        entry = self._entries.get(name)
        registry = entry.module if entry is not None else self._modules.get(name)
        for attribute in path.split("."):
            registry = getattr(registry, attribute, None)
        return registry if isinstance(registry, dict | list) else None

    def _look(self) -> "list[int]":
        """Take a picture of all registries; those that differ from the last picture."""
        changes: list[int] = []
        for number in range(len(REGISTRIES)):
            registry = self._find_registry(number)
            if registry is None:
                continue
            if number not in self._base:
                self._base[number] = self._before[number] = copy_registry(registry)
            elif self._before[number] != registry:
                changes.append(number)
        return changes

    def _attribute_changes(self) -> None:
        """Put what has changed since the last look down to the module that is executed now."""
        for number in self._look():
            content = copy_registry(self._find_registry(number))
            self._stack[-1].changes.append((number, Change(self._before[number], content)))
            self._before[number] = content

    # --------------------------------------------------------------------------- serving

    def put_away(self, own: "str") -> "Store":
        """Leave a script what a fresh interpreter has; its imports bring back the rest.

        Args:
            own: The package that no script is to import.

        Returns:
            What was put away.
        """
        registries = {number: self._find_registry(number) for number in self._base}
        for number, content in self._base.items():
            refill(registries[number], content)
        forget_filters()
        self._take_off()
        for name in set(self._modules) - self._fresh:
            del self._modules[name]
        for name, function in self._functions.items():
            setattr(self._bootstrap, name, function)
        self._loader.source_to_code = self._compile
        modules = {
            name: entry for name, entry in self._entries.items() if name.partition(".")[0] != own
        }
        store = Store(modules, registries)
        self._entries.clear()
        self._bootstrap._find_and_load = make_finder(store, self._bootstrap._find_and_load)
        return store

    def _take_off(self) -> None:
        """No package keeps a module as an attribute that was not loaded with it."""
        companions: dict[str, set[str]] = {}
        for name, entry in self._entries.items():
            owner, _, attribute = name.rpartition(".")
            if owner not in companions:
                companions[owner] = self._list_loaded_with(owner)
            if name in companions[owner]:
                continue
            package = self._entries.get(owner)
            holder = package.module if package is not None else self._modules.get(owner)
            if attributes_of(holder).get(attribute) is entry.module:
                entry.owner, entry.attribute = holder, attribute
                delattr(holder, attribute)


class Store:
    """Modules that were put away, to be handed out on import.

    A fork shares its parent's memory until it counts a reference to something there; then that
    page is copied. So the graph of imports is kept as numbers in one piece of memory, and the
    names lie side by side.

    Args:
        entries: The modules by name.
        registries: The registries that they change, by number.
    """

    def __init__(self, entries: "dict[str, LoadedModule]", registries: "dict[int, Any]") -> None:
        self._modules = sys.modules
        self._registries = registries
        self._path, self._finders = list(sys.path), list(sys.meta_path)
        self._settings = settings_folder()
        self._names = [name.encode().decode() for name in entries]
        self._numbers = {name: number for number, name in enumerate(self._names)}
        self._stored_modules = [entry.module for entry in entries.values()]
        self._special_modules = {
            number: entry
            for number, entry in enumerate(entries.values())
            if entry.changes or entry.owner is not None or self._names[number] in AT_IMPORT
        }
        self._given_flags = bytearray(len(self._names))
        starts, imports = [0], list[int]()
        for name, entry in entries.items():
            names = [name.rpartition(".")[0], *entry.imports]
            imports += [
                self._numbers[import_name]
                for import_name in reversed(names)
                if import_name in self._numbers
            ]
            starts.append(len(imports))
        self._starts, self._imports = pack(starts), pack(imports)

    def holds(self, name: "str") -> "bool":
        """Whether an import of ``name`` would find the module that was put away."""
        number = self._numbers.get(name)
        if number is None or self._given_flags[number]:
            return False
        path, finders = self._path, self._finders
        if sys.path[: len(path)] == path and sys.meta_path[: len(finders)] == finders:
            return True
        return "." in name or self._would_be_found(name, self._stored_modules[number])

    @staticmethod
    def _would_be_found(name: "str", module: "Any") -> "bool":
        """A script has put something before what imports usually find."""
        spec: Any = vars(sys.modules["_frozen_importlib"])["_find_spec"](name, None)
        own_spec = getattr(module, "__spec__", None)
        return spec is None or own_spec is None or spec.origin == own_spec.origin

    def hand_out(self, name: "str") -> None:
        """Make a module and what it imports visible, as if it were executed now."""
        modules, starts, flags = self._modules, self._starts, self._given_flags
        pending = [self._numbers[name]]
        while pending:
            number = pending.pop()
            if number < 0:
                self._finish(self._special_modules[~number])
                continue
            if flags[number] or self._names[number] in modules:
                continue
            flags[number] = 1
            modules[self._names[number]] = self._stored_modules[number]
            if number in self._special_modules:
                pending.append(~number)
            pending += self._imports[starts[number] : starts[number + 1]]

    def take_back(self) -> None:
        """Put away what the server itself was handed out; the interpreter imports by itself."""
        for number, is_given in enumerate(self._given_flags):
            if is_given:
                del self._modules[self._names[number]]
                entry = self._special_modules.get(number)
                if entry is not None and entry.owner is not None:
                    delattr(entry.owner, entry.attribute)
        self._given_flags[:] = bytes(len(self._given_flags))

    def _finish(self, entry: "LoadedModule") -> None:
        """What a module imports is there; its own changes, and its place in its package."""
        for number, change in entry.changes:
            change.apply(self._find_registry(number))
            forget_filters()
        if entry.owner is not None:
            setattr(entry.owner, entry.attribute, entry.module)
        at_import = AT_IMPORT.get(entry.module.__name__)
        if at_import is not None:
            at_import(entry.module, settings_folder() != self._settings)

    def _find_registry(self, number: "int") -> "Any":
        """A registry; a script may have put a copy in its place for a while."""
        name, path = REGISTRIES[number]
        registry = getattr(self._modules.get(name), path, None)
        return registry if isinstance(registry, dict | list) else self._registries[number]


def make_finder(store: "Store", load: "Callable[[str, Any], Any]") -> "Callable[[str, Any], Any]":
    """What stands for ``_find_and_load`` while scripts run: from ``store``, else by ``load``."""
    modules = sys.modules

    def _find_and_load(name: "str", import_: "Any") -> "Any":
        if name in modules or not store.holds(name):
            return load(name, import_)
        store.hand_out(name)
        return modules[name]

    code = _find_and_load.__code__.replace(co_filename=BOOTSTRAP_FILE)
    _find_and_load.__code__ = code
    return _find_and_load


def settings_folder() -> "str | None":
    """Where matplotlib keeps its settings; a script may choose another place before its import."""
    return sys.modules["os"].environ.get("MPLCONFIGDIR")


def read_settings(matplotlib: "Any", is_moved: "bool") -> None:
    """As matplotlib does when it is imported: a file and a backend that a script may have chosen.

    Args:
        matplotlib: The package.
        is_moved: Its settings are in another folder than the server's.
    """
    os = sys.modules["os"]
    if is_moved:
        for function in (matplotlib.get_configdir, matplotlib.get_cachedir):
            cells = zip(function.__code__.co_freevars, function.__closure__, strict=True)
            dict(cells)["called"].cell_contents = False
    if is_moved or "MATPLOTLIBRC" in os.environ or os.path.exists("matplotlibrc"):
        settings = vars(matplotlib)["_rc_params_in_file"](matplotlib.matplotlib_fname())
        for params in (matplotlib.rcParams, matplotlib.rcParamsOrig):
            dict.update(params, settings)
    backend = os.environ.get("MPLBACKEND")
    if backend:
        matplotlib.rcParams["backend"] = backend


def read_styles(core: "Any", is_moved: "bool") -> None:
    """As ``matplotlib.style`` does when it is imported: from the folder of settings."""
    if is_moved:
        folder = sys.modules["matplotlib"].get_configdir()
        core.USER_LIBRARY_PATHS[:] = [f"{folder}/stylelib"]
        core.reload_library()


def store_fonts(font_manager: "Any", is_moved: "bool") -> None:
    """As ``matplotlib.font_manager`` does when it is imported where no list of fonts is stored."""
    if is_moved:
        name = f"fontlist-v{font_manager.FontManager.__version__}.json"
        folder = sys.modules["matplotlib"].get_cachedir()
        font_manager.json_dump(font_manager.fontManager, f"{folder}/{name}")


def keep_settings(seaborn: "Any", is_moved: "bool") -> None:
    """As seaborn does when it is imported: ``reset_orig`` goes back to the settings of now."""
    del is_moved
    seaborn._orig_rc_params = sys.modules["matplotlib"].rcParams.copy()


AT_IMPORT: "dict[str, Callable[[Any, bool], None]]" = {
    "matplotlib": read_settings,
    "matplotlib.style.core": read_styles,
    "matplotlib.font_manager": store_fonts,
    "seaborn": keep_settings,
}
"""What the execution of a module makes of its surroundings, to be done when it is handed out."""


def pack(numbers: "list[int]") -> "memoryview[int]":
    """The numbers in one piece of memory."""
    data = b"".join(number.to_bytes(4, sys.byteorder) for number in numbers)
    return memoryview(data).cast("I")


def attributes_of(module: "Any") -> "dict[str, Any]":
    """What a module holds; nothing where it is no module."""
    return getattr(module, "__dict__", {})


def copy_registry(registry: "Any") -> "Any":
    """A plain copy of a dictionary or a list, whatever its class does on access."""
    return dict(dict.items(registry)) if isinstance(registry, dict) else list(registry)


def refill(registry: "Any", content: "Any") -> None:
    """Give a dictionary or a list the content it had."""
    if isinstance(registry, dict):
        dict.clear(registry)
        dict.update(registry, content)
    else:
        registry[:] = content


def forget_filters() -> None:
    """Have Python look at the filters of warnings anew."""
    sys.modules["_warnings"]._filters_mutated()
