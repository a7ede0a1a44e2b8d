/* The names that mean something, and what. The same lists as in idioms.py, extraction.py and scopes.py. */
#ifndef FACTS_WORDS_H
#define FACTS_WORDS_H

#include "base.h"

enum {
    KW_NONE, KW_False, KW_None, KW_True, KW_and, KW_as, KW_assert, KW_async, KW_await, KW_break, KW_class, KW_continue,
    KW_def, KW_del, KW_elif, KW_else, KW_except, KW_finally, KW_for, KW_from, KW_global, KW_if, KW_import, KW_in, KW_is,
    KW_lambda, KW_nonlocal, KW_not, KW_or, KW_pass, KW_raise, KW_return, KW_try, KW_while, KW_with, KW_yield,
};

enum {
    NOTICE_NONE, NOTICE_OWN_IMPORT, NOTICE_CHANGE, NOTICE_NAMESPACE_PACKAGE, NOTICE_ATTRIBUTE, NOTICE_PATCHED_MODULES,
    NOTICE_EXEC, NOTICE_GLOBALS, NOTICE_INSTALLATION, NOTICE_COMPILATION, NOTICE_FILLING,
};

enum {
    CATCHES_ATTRIBUTE = 1, /* the same numbers as the guards of facts.py */
    CATCHES_KEY = 2,
    CATCHES_IMPORT = 4,
    IS_GUARDING_CALL = 8,
    IS_HARMLESS = 16,
    IS_NAMESPACE = 32,
    IS_READING = 64,
    IS_EXIT = 128,
    IS_TEST_EXIT = 256,
    IS_NOTED = 512,   /* a builtin that a team may want nobody to use */
    IS_BUILTIN = 1024,
    HOLDS_NAMES = 2048,  /* __members__ and its like */
    HOLDS_VALUES = 4096, /* _member_map_ and its like, into which a member can be put */
    OF_OS = 8192,
    OF_SYS = 16384,
    IS_ENVIRONMENT_NAME = 32768,
    ENVIRONMENT_IS_KNOWN = 65536, /* whether the bit before has been worked out */
    CATCHES_ALL = 7,
};

#define KEYWORDS(X) \
    X(False) X(None) X(True) X(and) X(as) X(assert) X(async) X(await) X(break) X(class) X(continue) X(def) X(del) \
    X(elif) X(else) X(except) X(finally) X(for) X(from) X(global) X(if) X(import) X(in) X(is) X(lambda) X(nonlocal) \
    X(not) X(or) X(pass) X(raise) X(return) X(try) X(while) X(with) X(yield)

static const struct { const char *text; u8 keyword; } KEYWORD_TABLE[] = {
#define X(name) {#name, KW_##name},
    KEYWORDS(X)
#undef X
};

static const struct { const char *texts; u8 notice; } NOTICE_TABLE[] = {
    {"__import__ import_module", NOTICE_OWN_IMPORT},
    {"append extend insert remove", NOTICE_CHANGE},
    {"declare_namespace", NOTICE_NAMESPACE_PACKAGE},
    {"delattr extend_enum object setattr", NOTICE_ATTRIBUTE},
    {"dict", NOTICE_PATCHED_MODULES},
    {"exec locals vars", NOTICE_EXEC},
    {"globals", NOTICE_GLOBALS},
    {"setdefault update", NOTICE_INSTALLATION},
    {"CUDAExtension CppExtension Extension Pybind11Extension RustExtension set_source", NOTICE_COMPILATION},
    {"_convert _convert_ initpkg", NOTICE_FILLING},
};

static const struct { const char *texts; u32 bits; } BITS_TABLE[] = {
    {"AttributeError", CATCHES_ATTRIBUTE},
    {"KeyError LookupError", CATCHES_KEY},
    {"ImportError ModuleNotFoundError", CATCHES_IMPORT},
    {"Exception BaseException", CATCHES_ALL},
    {"suppress raises assertRaises assertRaisesRegex", IS_GUARDING_CALL},
    {"all any dict enumerate frozenset isinstance iter len list map print set sorted tuple zip", IS_HARMLESS},
    {"globals locals vars", IS_NAMESPACE},
    {"copy get items keys values", IS_READING},
    {"_exit exit quit", IS_EXIT},
    {"fail skip skipTest xfail", IS_TEST_EXIT},
    {"__import__ breakpoint compile eval exec globals hash id input open print", IS_NOTED},
    {"__members__ _member_map_ _member_names_", HOLDS_NAMES},
    {"_member_map_ _value2member_map_ __dict__", HOLDS_VALUES},
    {"name", OF_OS},
    {"hexversion implementation platform version version_info", OF_SYS},
    {"ArithmeticError AssertionError AttributeError BaseException BaseExceptionGroup BlockingIOError BrokenPipeError"
     " BufferError BytesWarning ChildProcessError ConnectionAbortedError ConnectionError ConnectionRefusedError"
     " ConnectionResetError DeprecationWarning EOFError Ellipsis EncodingWarning EnvironmentError Exception"
     " ExceptionGroup False FileExistsError FileNotFoundError FloatingPointError FutureWarning GeneratorExit IOError"
     " ImportError ImportWarning IndentationError IndexError InterruptedError IsADirectoryError KeyError"
     " KeyboardInterrupt LookupError MemoryError ModuleNotFoundError NameError None NotADirectoryError NotImplemented"
     " NotImplementedError OSError OverflowError PendingDeprecationWarning PermissionError ProcessLookupError"
     " PythonFinalizationError RecursionError ReferenceError ResourceWarning RuntimeError RuntimeWarning"
     " StopAsyncIteration StopIteration SyntaxError SyntaxWarning SystemError SystemExit TabError TimeoutError True"
     " TypeError UnboundLocalError UnicodeDecodeError UnicodeEncodeError UnicodeError UnicodeTranslateError"
     " UnicodeWarning UserWarning ValueError Warning ZeroDivisionError _IncompleteInputError __build_class__ __debug__"
     " __doc__ __import__ __loader__ __name__ __package__ __spec__ abs aiter all anext any ascii bin bool breakpoint"
     " bytearray bytes callable chr classmethod compile complex copyright credits delattr dict dir divmod enumerate eval"
     " exec exit filter float format frozenset getattr globals hasattr hash help hex id input int isinstance issubclass"
     " iter len license list locals map max memoryview min next object oct open ord pow print property quit range repr"
     " reversed round set setattr slice sorted staticmethod str sum super tuple type vars zip",
     IS_BUILTIN},
};

/* Names that the walk asks for one by one: SYM_all is "__all__". */
#define SINGLE_NAMES(X) \
    X(all, "__all__") X(path, "__path__") X(getattr_hook, "__getattr__") X(future, "__future__") \
    X(annotations, "annotations") X(star, "*") X(empty, "") X(lambda, "<lambda>") X(metaclass, "metaclass") \
    X(ignore, "_ignore_") X(global_enum, "global_enum") X(getattr, "getattr") X(hasattr, "hasattr") X(dir, "dir") \
    X(extend, "extend") X(remove, "remove") X(extend_enum, "extend_enum") X(sys, "sys") X(_sys, "_sys") \
    X(modules, "modules") X(sys_modules, "sys.modules") X(own_name, "__name__") X(name, "name") X(target, "target") \
    X(type_checking, "TYPE_CHECKING") X(platform, "platform") X(os, "os") X(match, "match") X(case, "case") \
    X(type, "type") X(underscore, "_")

#define X(name, text) extern Sym *SYM_##name;
SINGLE_NAMES(X)
#undef X

bool is_environment_name(Sym *name);

#endif
