function net = cifar_init(varargin)
% CIFAR_INIT  A small network for CIFAR-10
opts.networkType = 'simplenn' ;
opts = vl_argparse(opts, varargin) ;

lr = [.1 2] ;

% Block 1
net.layers = {} ;
net.layers{end+1} = struct('type', 'conv', ...
                           'weights', {{0.01*randn(5,5,3,32, 'single'), zeros(1, 32, 'single')}}, ...
                           'learningRate', lr, 'stride', 1, 'pad', 2) ;
net.layers{end+1} = struct('type', 'pool', 'method', 'max', 'pool', [3 3], 'stride', 2, 'pad', [0 1 0 1]) ;
net.layers{end+1} = struct('type', 'relu') ;

% Blocks 2 and 3
filters = {32, 64} ;
for b = 1:numel(filters)
  below = size(net.layers{end-2}.weights{1}, 4) ;
  net.layers{end+1} = struct('type', 'conv', ...
      'weights', {{0.05*randn(5,5,below,filters{b}, 'single'), zeros(1,filters{b},'single')}}, ...
      'learningRate', lr, 'stride', 1, 'pad', 2) ;
  net.layers{end+1} = struct('type', 'relu') ;
  net.layers{end+1} = struct('type', 'pool', 'method', 'avg', 'pool', [3 3], 'stride', 2, 'pad', [0 1 0 1]) ; % Emulate caffe
end

% Blocks 4 and 5
net.layers{end+1} = struct('type', 'conv', ...
                           'weights', {{0.05*randn(4,4,64,64, 'single'), zeros(1,64,'single')}}, ...
                           'learningRate', lr, 'stride', 1, 'pad', 0) ;
net.layers{end+1} = struct('type', 'relu') ;
net.layers{end+1} = struct('type', 'conv', ...
                           'weights', {{0.05*randn(1,1,64,10, 'single'), zeros(1,10,'single')}}, ...
                           'learningRate', .1*lr, 'stride', 1, 'pad', 0) ;
net.layers{end+1} = struct('type', 'softmaxloss') ;

net.meta.inputSize = [32 32 3] ;
net.meta.trainOpts.learningRate = [0.05*ones(1,30) 0.005*ones(1,10) 0.0005*ones(1,5)] ;
net.meta.trainOpts.weightDecay = 0.0001 ;
net.meta.trainOpts.batchSize = 100 ;
net.meta.trainOpts.numEpochs = numel(net.meta.trainOpts.learningRate) ;

net = vl_simplenn_tidy(net) ;

switch lower(opts.networkType)
  case 'simplenn'
    % done
  case 'dagnn'
    net = dagnn.DagNN.fromSimpleNN(net, 'canonicalNames', true) ;
    net.addLayer('error', dagnn.Loss('loss', 'classerror'), {'prediction','label'}, 'error') ;
  otherwise
    assert(false) ;
end
