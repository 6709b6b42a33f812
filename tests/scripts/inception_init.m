function net = inception_init(varargin)
% INCEPTION_INIT  A network of Inception modules with batch normalisation

opts.networkType = 'dagnn' ;
opts.width = 1 ;
opts.modules = 3 ;
opts.averageImage = 128 * ones(3, 1, 'single') ;
[opts, rest] = vl_argparse(opts, varargin) ;
if ~isempty(rest), error('inception_init:option', 'unknown option %s', rest{1}) ; end
assert(strcmp(opts.networkType, 'dagnn'), 'a SimpleNN has no branches') ;

net = dagnn.DagNN() ;
w = @(n) max(1, round(n * opts.width)) ;

% name, window, channels, stride, in the order of the stem
stem = {'conv1', [7 7], w(64), 2 ; ...
        'conv2', [1 1], w(64), 1 ; ...
        'conv3', [3 3], w(192), 1} ;
[var, depth] = deal('input', 3) ;
for i = 1:size(stem, 1)
  [var, depth] = conv_bn(net, var, depth, stem{i,:}) ;
  if i ~= 2
    net.addLayer(sprintf('pool%d', i), dagnn.Pooling('poolSize', [3 3], 'stride', [2 2], 'pad', [0 1 0 1]), ...
                 var, sprintf('pooled%d', i)) ;
    var = sprintf('pooled%d', i) ;
  end
end

for m = 1:opts.modules
  id = char('a' + m - 1) ;
  branches = struct('widths', {w(64), [w(64) w(64)], [w(64) w(96) w(96)], w(32)}, ...
                    'windows', {1, [1 3], [1 3 3], 1}, ...
                    'pool', {'', '', '', 'avg'}) ;
  [var, depth] = inception(net, ['inc_' id], var, depth, branches) ;
end

net.addLayer('avg', dagnn.Pooling('method', 'avg', 'poolSize', [7 7]), var, 'averaged', {}) ;
net.addLayer('drop', dagnn.DropOut('rate', 0.4), 'averaged', 'dropped', {}) ;
net.addLayer('prediction', dagnn.Conv('size', [1 1 depth 1000], 'hasBias', true), ...
             'dropped', 'prediction', {'predictionf', 'predictionb'}) ;
net.addLayer('loss', dagnn.Loss(), {'prediction', 'label'}, 'objective') ;
net.addLayer('softmax', dagnn.SoftMax(), 'prediction', 'prob') ;
net.renameVar('prob', 'probability') ;

net.initParams() ;

% multipliers and biases do not decay, and moments move slowly
for l = 1:numel(net.layers)
  if ~isa(net.layers(l).block, 'dagnn.BatchNorm'), continue ; end
  for p = net.getParamIndex(net.layers(l).params)
    net.params(p).weightDecay = 0 ;
  end
  net.params(net.getParamIndex(net.layers(l).params{3})).learningRate = 0.05 ;
end

net.meta.normalization = struct('imageSize', [224 224 3], ...
                                'averageImage', reshape(opts.averageImage, 1, 1, []), ...
                                'interpolation', 'bicubic') ;
net.meta.inputs = struct('name', 'input', 'size', [net.meta.normalization.imageSize 32]) ;

% -------------------------------------------------------------------------
function [output, out] = conv_bn(net, input, in, name, window, out, stride)
% -------------------------------------------------------------------------
if isscalar(window), window = [window window] ; end
before = floor((window - 1) / 2) ;
net.addLayer(name, dagnn.Conv('size', [window in out], 'stride', stride, 'hasBias', false, ...
                              'pad', before([1 1 2 2])), ...
             input, [name '_x'], [name 'f']) ;
net.addLayer([name '_bn'], dagnn.BatchNorm('numChannels', out), [name '_x'], [name '_n'], ...
             strcat(name, {'_m', '_b', '_s'})) ;
net.addLayer([name '_relu'], dagnn.ReLU('leak', 0), [name '_n'], name) ;
output = name ;

% -------------------------------------------------------------------------
function [output, depth] = inception(net, name, input, in, branches)
% branches side by side, each a chain of convolutions, one of them after a pooling
% -------------------------------------------------------------------------
ends = cell(1, numel(branches)) ;
depth = 0 ;
for b = 1:numel(branches)
  branch = branches(b) ;
  [var, c] = deal(input, in) ;
  if ~isempty(branch.pool)
    var = sprintf('%s_p%d', name, b) ;
    net.addLayer(var, dagnn.Pooling('method', branch.pool, 'poolSize', 3, 'pad', 1), input, var) ;
  end
  k = 0 ;
  while k < numel(branch.widths)
    k = k + 1 ;
    [var, c] = conv_bn(net, var, c, sprintf('%s_%d_%d', name, b, k), branch.windows(k), branch.widths(k), 1) ;
  end
  ends{b} = var ;
  depth = depth + c ;
end
net.addLayer(name, dagnn.Concat('dim', 3), ends, name) ;
output = name ;
