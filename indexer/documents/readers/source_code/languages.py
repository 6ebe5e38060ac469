"""What the headings of each programming language are, as queries in the language of tree-sitter.

A pattern finds a definition: its capture is named by the keyword before the title, `definition` if the title has its
own. The title reaches from the first capture `title` to the last. Captures with `_` only belong to the definition.
"""

from __future__ import annotations

from dataclasses import dataclass

_C_FUNCTIONS = """
(function_definition declarator: (function_declarator declarator: (_) @title)) @function
(function_definition declarator: (_ (function_declarator declarator: (_) @title))) @function
(function_definition declarator: (_ (_ (function_declarator declarator: (_) @title)))) @function
"""
_C = f"""{_C_FUNCTIONS}
(struct_specifier name: (_) @title body: (_)) @struct
(union_specifier name: (_) @title body: (_)) @union
(enum_specifier name: (_) @title body: (_)) @enum
(type_definition type: [(struct_specifier !name) (union_specifier !name) (enum_specifier !name)]
  declarator: (_) @title) @typedef
(preproc_function_def name: (_) @title) @macro
"""
_CPP = f"""{_C}
(namespace_definition name: (_) @title) @namespace
(class_specifier name: (_) @title body: (_)) @class
(concept_definition name: (_) @title) @concept
"""
_JAVASCRIPT = """
(function_declaration name: (_) @title) @function
(generator_function_declaration name: (_) @title) @function
(class_declaration name: (_) @title) @class
(variable_declarator name: (identifier) @title value: (class)) @class
(variable_declarator name: (identifier) @title value: [(arrow_function) (function_expression)]) @function
(assignment_expression left: (_) @title right: [(arrow_function) (function_expression)]) @function
(assignment_expression left: (_) @title right: (class)) @class
(pair key: (_) @title value: [(arrow_function) (function_expression)]) @function
(method_definition name: (_) @title) @method
(expression_statement (call_expression function: (identifier) @_call
  arguments: (arguments . (string (string_fragment) @title) [(arrow_function) (function_expression)])
  (#any-of? @_call "describe" "it" "test" "suite" "context"))) @test
"""
_TYPESCRIPT = f"""{_JAVASCRIPT}
(abstract_class_declaration name: (_) @title) @class
(interface_declaration name: (_) @title) @interface
(enum_declaration name: (_) @title) @enum
(type_alias_declaration name: (_) @title) @type
(internal_module name: (_) @title) @namespace
(public_field_definition name: (_) @title value: [(arrow_function) (function_expression)]) @method
"""
_QUERIES = {
    "bash": "(function_definition name: (_) @title) @function",
    "c": _C,
    "cmake": """
(function_def (function_command (argument_list . (argument) @title))) @function
(macro_def (macro_command (argument_list . (argument) @title))) @macro
""",
    "cpp": _CPP,
    "csharp": """
(namespace_declaration name: (_) @title) @namespace
(class_declaration name: (_) @title) @class
(struct_declaration name: (_) @title) @struct
(interface_declaration name: (_) @title) @interface
(enum_declaration name: (_) @title) @enum
(record_declaration name: (_) @title) @record
(constructor_declaration name: (_) @title) @constructor
(method_declaration name: (_) @title) @method
(property_declaration name: (_) @title) @property
""",
    "cuda": _CPP,
    "dart": """
(class_definition name: (_) @title) @class
(mixin_declaration (identifier) @title) @mixin
(extension_declaration name: (_) @title) @extension
(enum_declaration name: (_) @title) @enum
((function_signature name: (_) @title) @function . (function_body) @_body)
((method_signature (_ name: (_) @title)) @method . (function_body) @_body)
""",
    "elisp": """
(function_definition name: (_) @title) @defun
(macro_definition name: (_) @title) @defmacro
""",
    "elixir": """
(call target: (identifier) @title @_kind (arguments . (_) @title) (do_block)
  (#any-of? @_kind "defmodule" "defprotocol" "defimpl")) @definition
(call target: (identifier) @title @_kind (arguments . [
    (identifier) @title
    (call target: (identifier) @title)
    (binary_operator left: (call target: (identifier) @title))
  ]) (#any-of? @_kind "def" "defp" "defmacro" "defmacrop" "defguard")) @definition
""",
    "erlang": """
(fun_decl clause: (function_clause name: (_) @title)) @function
(record_decl name: (_) @title) @record
""",
    "go": """
(function_declaration name: (_) @title) @func
(method_declaration receiver: (_) @title name: (_) @title) @func
(type_spec name: (_) @title) @type
""",
    "graphql": """
(object_type_definition (name) @title) @type
(input_object_type_definition (name) @title) @input
(interface_type_definition (name) @title) @interface
(enum_type_definition (name) @title) @enum
(operation_definition (operation_type) @title (name) @title) @definition
(fragment_definition (fragment_name) @title) @fragment
""",
    "haskell": """
(declarations (signature name: (_) @title) @function)
(declarations (function name: (_) @title) @function)
(declarations (bind name: (_) @title) @function)
(data_type name: (_) @title) @data
(newtype name: (_) @title) @newtype
(type_synomym name: (_) @title) @type
(class name: (_) @title) @class
(instance name: (_) @title patterns: (_) @title) @instance
""",
    "hcl": """
(block (identifier) @title . (string_lit)* @title . (block_start)) @definition
""",
    "java": """
(class_declaration name: (_) @title) @class
(interface_declaration name: (_) @title) @interface
(enum_declaration name: (_) @title) @enum
(record_declaration name: (_) @title) @record
(annotation_type_declaration name: (_) @title) @annotation
(constructor_declaration name: (_) @title) @constructor
(method_declaration name: (_) @title) @method
""",
    "javascript": f"""{_JAVASCRIPT}
(field_definition property: (_) @title value: [(arrow_function) (function_expression)]) @method
""",
    "julia": """
(module_definition name: (_) @title) @module
(function_definition (signature (call_expression . (_) @title))) @function
(function_definition (signature (_ (call_expression . (_) @title)))) @function
(macro_definition (signature (call_expression . (_) @title))) @macro
(struct_definition (type_head (_) @title)) @struct
(assignment . (call_expression . (_) @title)) @function
""",
    "kotlin": """
(class_declaration "class" (type_identifier) @title) @class
(class_declaration "interface" (type_identifier) @title) @interface
(object_declaration (type_identifier) @title) @object
(companion_object "companion" @title "object" @title) @definition
(function_declaration (simple_identifier) @title) @fun
""",
    "lua": """
(function_declaration name: (_) @title) @function
(assignment_statement (variable_list . name: (_) @title)
  (expression_list . value: (function_definition))) @function
""",
    "objc": f"""{_C_FUNCTIONS}
(class_interface . (identifier) @title) @interface
(class_implementation . (identifier) @title) @implementation
(protocol_declaration . (identifier) @title) @protocol
(method_definition (method_type) . (identifier) @title) @method
""",
    "ocaml": """
(module_definition (module_binding (module_name) @title)) @module
(compilation_unit (value_definition (let_binding pattern: (value_name) @title)) @let)
(structure (value_definition (let_binding pattern: (value_name) @title)) @let)
(type_definition (type_binding name: (_) @title)) @type
(class_definition (class_binding (class_name) @title)) @class
""",
    "perl": "(subroutine_declaration_statement name: (_) @title) @sub",
    "php": """
(class_declaration name: (_) @title) @class
(interface_declaration name: (_) @title) @interface
(trait_declaration name: (_) @title) @trait
(enum_declaration name: (_) @title) @enum
(function_definition name: (_) @title) @function
(method_declaration name: (_) @title) @function
""",
    "powershell": """
(function_statement (function_name) @title) @function
(class_statement . (simple_name) @title) @class
(class_method_definition (simple_name) @title) @method
""",
    "proto": """
(message (message_name) @title) @message
(service (service_name) @title) @service
(rpc (rpc_name) @title) @rpc
(enum (enum_name) @title) @enum
""",
    "r": "(binary_operator lhs: (_) @title rhs: (function_definition)) @function",
    "ruby": """
(module name: (_) @title) @module
(class name: (_) @title) @class
(method name: (_) @title) @def
(singleton_method object: (_) @title name: (_) @title) @def
""",
    "rust": """
(mod_item name: (_) @title body: (_)) @mod
(function_item name: (_) @title) @fn
(struct_item name: (_) @title) @struct
(union_item name: (_) @title) @union
(enum_item name: (_) @title) @enum
(trait_item name: (_) @title) @trait
(impl_item trait: (_) @title type: (_) @title) @impl
(impl_item !trait type: (_) @title) @impl
(macro_definition name: (_) @title) @macro_rules
""",
    "scala": """
(class_definition name: (_) @title) @class
(trait_definition name: (_) @title) @trait
(object_definition name: (_) @title) @object
(enum_definition name: (_) @title) @enum
(function_definition name: (_) @title) @def
""",
    "sql": """
(create_table (object_reference) @title) @table
(create_view (object_reference) @title) @view
(create_materialized_view (object_reference) @title) @view
(create_function (object_reference) @title) @function
(create_trigger . (keyword_create) (object_reference) @title) @trigger
(create_type (object_reference) @title) @type
""",
    "swift": """
(class_declaration "class" name: (_) @title) @class
(class_declaration "struct" name: (_) @title) @struct
(class_declaration "enum" name: (_) @title) @enum
(class_declaration "actor" name: (_) @title) @actor
(class_declaration "extension" name: (_) @title) @extension
(protocol_declaration name: (_) @title) @protocol
(function_declaration "func" name: (_) @title) @func
(init_declaration "init" @title) @definition
""",
    "tsx": _TYPESCRIPT,
    "typescript": _TYPESCRIPT,
}
_SUFFIXES = {
    **{"bash": ".sh .bash .zsh", "c": ".c", "cmake": ".cmake", "csharp": ".cs"},
    **{"cpp": ".h .cc .cpp .cxx .hh .hpp .hxx"},
    **{"cuda": ".cu .cuh", "dart": ".dart", "elisp": ".el", "elixir": ".ex .exs", "erlang": ".erl .hrl", "go": ".go"},
    **{"graphql": ".graphql", "haskell": ".hs", "hcl": ".tf", "java": ".java", "javascript": ".js .mjs .cjs .jsx"},
    **{"julia": ".jl", "kotlin": ".kt .kts", "lua": ".lua", "objc": ".m .mm", "ocaml": ".ml", "perl": ".pl .pm"},
    **{"php": ".php", "powershell": ".ps1", "proto": ".proto", "r": ".r", "ruby": ".rb", "rust": ".rs"},
    **{"scala": ".scala", "sql": ".sql", "swift": ".swift", "tsx": ".tsx", "typescript": ".ts .mts .cts"},
}
# Languages whose functions are often one line, or several equations of one name.
_EQUATIONS = ("elixir", "erlang", "haskell", "ocaml")
_LEADING = {
    "elixir": ("unary_operator",),  # @doc and @spec
    "rust": ("attribute_item",),
    "cpp": ("template_parameter_list",),
    "cuda": ("template_parameter_list",),
    "typescript": ("decorator",),
    "tsx": ("decorator",),
}


@dataclass(frozen=True, slots=True)
class Language:
    """A programming language: the query for its definitions, and the suffixes of its files.

    `leading` are the kinds of nodes that belong to the definition below them, beside comments. `has_equations` says
    that definitions on one line are headings, too, and neighbours with the same title only one.
    """

    name: str
    query: str
    suffixes: str
    leading: tuple[str, ...]
    has_equations: bool


LANGUAGES = {
    name: Language(name, query, _SUFFIXES[name], _LEADING.get(name, ()), name in _EQUATIONS)
    for name, query in _QUERIES.items()
}
"""The languages by their names in tree-sitter."""
