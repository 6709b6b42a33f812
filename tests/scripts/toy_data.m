function [net, info] = toy_data(varargin)
% TOY_DATA  Trains a small network on shapes; its network is made by toy_network below

run(fullfile(fileparts(mfilename('fullpath')), '..', 'matlab', 'vl_setupnn.m')) ;

opts.dataDir = fullfile('data', 'toy') ;
opts.networkType = 'simplenn' ;
[opts, varargin] = vl_argparse(opts, varargin) ;
opts.train = struct() ;
opts = vl_argparse(opts, varargin) ;
if ~isfield(opts.train, 'gpus'), opts.train.gpus = [] ; end ;

net = toy_network('networkType', opts.networkType) ;
imdb = load(fullfile(opts.dataDir, 'imdb.mat')) ;
[net, info] = cnn_train(net, imdb, @(imdb, batch) get_batch(imdb, batch), opts.train) ;

% --------------------------------------------------------------------
function net = toy_network(varargin)
% --------------------------------------------------------------------
opts.networkType = 'simplenn' ;
opts.kinds = 3 ;
opts = vl_argparse(opts, varargin) ;

layers = {struct('type', 'conv', 'weights', {xavier(5, 5, 1, 5)}), ...
          struct('type', 'relu'), ...
          struct('type', 'pool', 'method', 'max', 'pool', [2 2], 'stride', 2)} ;
layers = [layers, {struct('type', 'conv', 'weights', {xavier(5, 5, 5, 10)}), struct('type', 'relu')}] ;
layers{end+1} = struct('type', 'conv', 'weights', {xavier(10, 10, 10, opts.kinds)}) ;
layers(end+1) = {struct('type', 'softmaxloss')} ;

net.layers = layers ;
net.meta.inputSize = [32, 32, 1, 50] ;
net.meta.trainOpts = struct('learningRate', 0.0001, 'numEpochs', 15, 'batchSize', 50) ;
net = vl_simplenn_tidy(net) ;

if strcmp(opts.networkType, 'dagnn')
  net = dagnn.DagNN.fromSimpleNN(net, 'canonicalNames', true) ;
  net.addLayer('error', dagnn.Loss('loss', 'classerror'), {'prediction', 'label'}, 'error') ;
end

% --------------------------------------------------------------------
function weights = xavier(varargin)
% --------------------------------------------------------------------
sz = [varargin{:}] ;
scale = sqrt(2 / prod(sz(1:3))) ;
weights = {randn(sz, 'single') * scale, zeros(sz(4), 1, 'single')} ;

% --------------------------------------------------------------------
function varargout = get_batch(imdb, batch)
% --------------------------------------------------------------------
varargout = {imdb.images(:,:,:,batch), imdb.labels(batch)} ;
