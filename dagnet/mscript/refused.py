"""What no script may do here, by name, with the reason: a stranger's script must be safe to run."""

from collections.abc import Sequence

from . import names
from . import syntax as tree
from .failures import Refused

TEXT = "it evaluates text, of which nothing can be known beforehand"
PROCESS = "it starts processes"
NETWORK = "it reaches the network"
WRITE = "it opens, writes or removes files"
PERSON = "it ends MATLAB, or waits for a person"
OUTSIDE = "it calls code outside of MATLAB"

REASONS: dict[str, str] = {}
REASONS |= dict.fromkeys(("eval", "evalc", "evalin", "assignin", "inline"), TEXT)
REASONS |= dict.fromkeys(
    ("!", "system", "unix", "dos", "shell", "winopen", "open", "perl", "python", "batch", "parpool"), PROCESS
)
REASONS["matlabpool"] = PROCESS
REASONS["setenv"] = "it changes what other programs are told"
REASONS |= dict.fromkeys(("exit", "quit", "keyboard", "input", "dbstop"), PERSON)
REASONS |= dict.fromkeys(
    ("urlread", "urlwrite", "webread", "websave", "webwrite", "ftp", "sendmail", "web", "tcpclient", "udp", "tcpip"),
    NETWORK,
)
REASONS |= dict.fromkeys(("gunzip", "unzip", "untar", "gzip", "zip", "tar"), WRITE)
REASONS |= dict.fromkeys(
    (
        "save",
        "delete",
        "rmdir",
        "mkdir",
        "movefile",
        "copyfile",
        "fopen",
        "fwrite",
        "diary",
        "savefig",
        "print",
        "saveas",
    ),
    WRITE,
)
REASONS |= dict.fromkeys(("imwrite", "dlmwrite", "csvwrite", "xlswrite", "writetable", "fputs", "hgsave"), WRITE)
REASONS |= dict.fromkeys(("exportgraphics", "savepath", "matfile", "audiowrite", "recycle", "fclose"), WRITE)
REASONS["cd"] = "it changes where files are looked for"
REASONS |= dict.fromkeys(
    ("mex", "loadlibrary", "calllib", "java", "javaMethod", "javaObject", "py", "actxserver"), OUTSIDE
)
DOWNLOADS = {"urlwrite", "websave", "gunzip", "unzip", "untar", "urlread", "webread"}
EXPLAINED = {*DOWNLOADS, "mkdir"}
PRESENCE = {"exist", "isfile", "isfolder", "isdir"}


def download(condition: tree.Expression, body: tree.Block) -> list[tree.Chain]:
    """The calls of `if ~exist(file), urlwrite(url, file), end`: those that look for the file, and the one that fetches it.

    Empty for a branch that is no such step.
    """
    asked = names.calls(condition, PRESENCE)
    fetched = names.calls(body, DOWNLOADS) if asked else []
    return [*asked, *fetched[:1]] if fetched else []


def check(name: str) -> None:
    """Raises Refused for a name that is refused."""
    if name in REASONS:
        raise Refused(message(name))


def message(name: str, texts: Sequence[str] = ()) -> str:
    """Why that name is refused; of a download, what would be right instead. `texts` are the call's arguments that are texts."""
    named = "!" if name == "!" else name
    said = f"{named} is refused: {REASONS[name]}"
    if name == "mkdir" and texts:
        return f"{said}. The script wants a folder that is not there: make {texts[-1]!r} by hand and run again"
    if name not in DOWNLOADS:
        return said
    files = [t for t in texts if "://" not in t]
    sources = [t for t in texts if "://" in t]
    wanted = f" {files[-1]!r}" if files else ""
    origin = f" (it comes from {sources[0]})" if sources else ""
    return (
        f"{said}. The script wants to fetch a file that is not there: put{wanted or ' it'} there by hand{origin} and run "
        "again, or name it with --weights"
    )
