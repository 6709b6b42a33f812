"""dagnet.mscript.training: a script that trains gives its network, and what it does for its data is left out and told."""

import re
import warnings

import numpy as np
import pytest

from dagnet import mscript

TRAIN = """
function [net, info] = main(kind)
opts.images = fullfile('data', 'images') ;
net.layers = {struct('type', 'conv', 'weights', {{ones(1, 1, 3, 2, 'single'), zeros(1, 2, 'single')}})} ;
if exist(fullfile(opts.images, 'imdb.mat'), 'file')
  imdb = load(fullfile(opts.images, 'imdb.mat')) ;
else
  imdb = read_images(opts) ;
  mkdir(opts.images) ;
  save(fullfile(opts.images, 'imdb.mat'), '-struct', 'imdb') ;
end
net.meta.kinds = 2 ;
switch kind
  case 'chain', trainer = @cnn_train ;
  case 'net', net = vl_simplenn_tidy(net) ; net = dagnn.DagNN.fromSimpleNN(net) ; trainer = @cnn_train_dag ;
end
[net, info] = trainer(net, imdb, @(imdb, batch) imdb.images(:,:,:,batch), 'val', find(imdb.set == 2)) ;
figure(1) ; show_filters(net) ;
end

function imdb = read_images(opts)
imdb.images = imread(fullfile(opts.images, 'a.png')) ;
end
"""


def run(tmp_path, code, *args, **keywords):
    """What the code gives, and what was told."""
    path = tmp_path / "main.m"
    path.write_text(code.lstrip())
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        return mscript.run(path, None, *args, **keywords), [str(w.message) for w in told]


@pytest.mark.parametrize("kind, made", [("chain", "SimpleNN"), ("net", "DagNN")])
def test_data_that_are_not_there_keep_no_network_from_being_defined(tmp_path, kind, made):
    net, told = run(tmp_path, TRAIN, kind)
    assert type(net).__name__ == made and net.meta["kinds"] == 2
    assert "line 16" in told[0] and "here the script would train its network" in told[0]
    assert re.search(r"line 21: `imdb\.images = imread.*'imread' is neither.*; left out, since the network", told[1])
    assert len(told) == 2 and not (tmp_path / "data").exists()


def test_a_copy_of_cnn_train_beside_the_script_is_not_run(tmp_path):
    (tmp_path / "cnn_train.m").write_text("function varargout = cnn_train(varargin)\nerror('it ran') ;\n")
    net, _told = run(tmp_path, TRAIN, "chain")
    assert len(net.layers) == 1


def test_what_the_network_hangs_on_is_never_left_out(tmp_path):
    start = "function net = main()\nopts.count = 2 ;\n"
    train = "net.layers = {} ;\nnet.meta.mean = mean ;\nnet = cnn_train(net, imdb) ;\n"
    for needed in ("mean = average(imread('a.png')) ;\n", "if true, mean = 1 ; system('id') ; end\n"):
        with pytest.raises(mscript.ScriptError, match=r"imread|average|system"):
            run(tmp_path, start + needed + train)
    # through another variable too
    with pytest.raises(mscript.NotSupported, match="imread"):
        run(tmp_path, start + "image = imread('a.png') ;\nmean = image(1) ;\n" + train)


def test_an_object_that_a_statement_may_have_changed_before_it_stopped_is_not_guessed(tmp_path):
    code = """
function main()
net = dagnn.DagNN() ;
other = 1 ;
build(net) ;
cnn_train_dag(net, []) ;
end
function build(net)
net.addLayer('r', dagnn.ReLU(), 'x', 'y') ;
system('id') ;
end
"""
    with pytest.raises(mscript.Refused, match="system is refused"):
        run(tmp_path, code)
    net, told = run(tmp_path, code.replace("system('id') ;\n", "").replace("other = 1", "other = system('id')"))
    assert list(net.layers) == ["r"] and "line 3" in told[1]


def test_nothing_is_left_out_where_nothing_is_trained_or_where_a_return_or_a_global_may_matter(tmp_path):
    for code in (
        "function net = main()\nsystem('id') ;\nnet = dagnn.DagNN() ;\n",
        "function main()\nif system('id'), return ; end\nnet = dagnn.DagNN() ;\ncnn_train_dag(net) ;\n",
        "function main()\nglobal g\nsystem('id') ;\nnet = dagnn.DagNN() ;\ncnn_train_dag(net) ;\n",
    ):
        with pytest.raises(mscript.Refused):
            run(tmp_path, code)


def test_what_runs_for_ever_is_not_left_out(tmp_path):
    code = "function main()\nwhile true, end\nnet = dagnn.DagNN() ;\ncnn_train_dag(net) ;\n"
    with pytest.raises(mscript.LimitReached):
        run(tmp_path, code, limits=mscript.Limits(instructions=1000))


def test_a_function_without_outputs_gives_the_network_that_it_would_train(tmp_path):
    path = tmp_path / "main.m"
    path.write_text("function main(n)\nnet.layers = {} ;\nnet.meta.n = n ;\ncnn_train(net, []) ;\n")
    with pytest.warns(UserWarning, match="here the script would train"):
        made = mscript.execute(path, "main(3)")
    np.testing.assert_array_equal(made.network.meta["n"], [[3]])
    path.write_text("function main(n)\nx = n ;\n")
    with pytest.raises(mscript.MatlabError, match=r"main\(3\) gave .*a DagNN or a SimpleNN is right"):
        mscript.execute(path, "main(3)")
