function net = nin_init(varargin)
% NIN_INIT  Network in network (Lin, Chen, Yan 2013) for CIFAR-10
opts.networkType = 'simplenn' ;
opts = vl_argparse(opts, varargin) ;

net.layers = {} ;
lr = [1 10] ;
method = {'max', 'avg', 'avg'} ;
widths = {[192 160 96], [192 192 192], [192 192 10]} ;
support = [5 5 3] ;
depth = 3 ;

for b = 1:3
  for c = 1:3
    k = 1 ;
    if c == 1, k = support(b) ; end
    name = sprintf('%d', 3*(b-1) + c) ;
    if b == 3 && c == 3, rates = 0.1 * lr ; else, rates = lr ; end
    net.layers{end+1} = struct('type', 'conv', 'name', ['conv' name], ...
                               'weights', {init_weights(k, depth, widths{b}(c))}, ...
                               'learningRate', rates, ...
                               'stride', 1, ...
                               'pad', (k - 1) / 2) ;
    net.layers{end+1} = struct('type', 'relu', 'name', ['relu' name]) ;
    depth = widths{b}(c) ;
  end
  if b < 3
    net.layers{end+1} = struct('name', sprintf('pool%d', b), 'type', 'pool', 'method', method{b}, ...
                               'pool', [3 3], 'stride', 2, 'pad', 0) ;
    net.layers{end+1} = struct('type', 'dropout', 'name', sprintf('dropout%d', b), 'rate', 0.5) ;
  else
    net.layers{end+1} = struct('type', 'pool', 'name', 'pool3', 'method', method{b}, ...
                               'pool', [7 7], 'stride', 1, 'pad', 0) ;
  end
end
net.layers(end-1) = [] ; % no rectifier before the last average
net.layers{end+1} = struct('type', 'softmaxloss', 'name', 'loss') ;

net.meta.inputSize = [32 32 3] ;
net.meta.trainOpts.learningRate = [0.002, 0.01, 0.02, 0.04 * ones(1,80), 0.004 * ones(1,10), 0.0004 * ones(1,10)] ;
net.meta.trainOpts.weightDecay = 0.0005 ;
net.meta.trainOpts.batchSize = 100 ;
net.meta.trainOpts.numEpochs = numel(net.meta.trainOpts.learningRate) ;

net = vl_simplenn_tidy(net) ;

if isequal(opts.networkType, 'dagnn')
  net = dagnn.DagNN.fromSimpleNN(net, 'canonicalNames', true) ;
  net.addLayer('error', dagnn.Loss('loss', 'classerror'), {'prediction','label'}, 'error') ;
end

function weights = init_weights(k,m,n)
weights{1} = randn(k,k,m,n,'single') * sqrt(2/(k*k*m)) ;
weights{2} = zeros(n,1,'single') ;
